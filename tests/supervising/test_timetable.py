"""Models that are loaded at times of day, by the real clock."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sparkd.catalog.definitions import Model
from sparkd.catalog.reading import read_catalogue
from sparkd.errors import CatalogueError, InsufficientMemory
from sparkd.scheduling.claim import Claim
from sparkd.supervising.tasks import Tasks
from sparkd.supervising.timetable import Timetable, find_due
from sparkd.upstream.client import EngineRequest

MODELS = """
[models.early]
engine = "command"
command = ["engine", "{port}"]
load_at = ["06:00", "07:00"]

[models.late]
engine = "command"
command = ["engine", "{port}"]
load_at = ["Mon-Fri 20:00"]

[models.off]
engine = "command"
command = ["engine", "{port}"]
load_at = ["07:00"]
status = "disabled"
reason = "an example"
"""


def write(folder: Path, text: str) -> Path:
    (folder / "models.toml").write_text(text)
    return folder / "models.toml"


def test_each_model_is_due_once(tmp_path: Path) -> None:
    known = read_catalogue(write(tmp_path, MODELS))
    midnight = datetime.datetime(2026, 11, 28).astimezone()  # a Saturday
    day = midnight + datetime.timedelta(hours=23)
    assert [(model.id, text) for model, text in find_due(known, midnight, day)] == [("early", "06:00")]


def test_a_wrong_time_is_reported_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(write(tmp_path, MODELS.replace("Mon-Fri 20:00", "weekdays 20:00")))
    assert 'models.late.load_at = "weekdays 20:00": expected a time of day' in str(caught.value)


class Lender:
    """Lends a model as a supervisor does; the first one does not fit."""

    def __init__(self) -> None:
        self.claims: list[tuple[str, Claim]] = []

    @asynccontextmanager
    async def lease(self, model: Model, _: EngineRequest | None, claim: Claim) -> AsyncIterator[None]:
        """Record the request."""
        self.claims.append((model.id, claim))
        if len(self.claims) == 1:
            raise InsufficientMemory("It does not fit.")
        yield


def test_models_are_loaded_when_their_times_come(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    known = read_catalogue(write(tmp_path, MODELS))
    lender = Lender()
    morning = datetime.datetime(2026, 11, 27, 5, 59, 59).astimezone()  # a Friday
    hours = iter([0, 0, 1, 14.5, 13, 14.5, 15])  # the clock is set back in the end

    async def scenario() -> None:
        tasks = Tasks()
        ended = asyncio.Event()

        def clock() -> datetime.datetime:
            if (passed := next(hours, None)) is None:
                ended.set()
            return morning + datetime.timedelta(hours=15 if passed is None else passed)

        run = asyncio.create_task(Timetable(lambda: known, lender.lease, tasks, clock).run(interval=0.001))
        await ended.wait()
        await tasks.wait()
        run.cancel()

    with caplog.at_level("INFO"):
        asyncio.run(scenario())
    assert [model for model, _ in lender.claims] == ["early", "early", "late"]
    assert {claim.priority for _, claim in lender.claims} == {"low"}
    assert 'Model "early" is not loaded at 06:00: It does not fit.' in caplog.text
    assert 'Loading model "late" because it is Mon-Fri 20:00' in caplog.text
