"""The file of holds, and their limits."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.settings import Queue, Settings
from sparkd.errors import HoldConflict, HoldNotFound, InvalidRequest
from sparkd.scheduling.actions import Action
from sparkd.scheduling.lifecycle import Residency
from sparkd.supervising.hold_book import MAX_HOLDS, HoldBook
from tests.scheduling.harness import Harness, a_model


class Loader:
    """A supervisor whose models are loaded."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def residency(self, model: Model) -> Residency:  # noqa: ARG002
        return "loaded"

    def carry_out(self, actions: list[Action]) -> None:
        assert not actions

    def lease(self, *_: Any) -> Any:
        raise AssertionError("a loaded model is not loaded again")


def with_book(
    file: Path, test: Callable[[HoldBook, Model], Awaitable[None]], *, max_hold: float = 86400.0
) -> None:
    """Run a test with a book of holds."""

    async def run() -> None:
        model = a_model("a", 40)
        catalogue = Catalogue(
            path=Path("models.toml"),
            settings=Settings(queue=Queue(max_hold=max_hold)),
            models={"a": model},
            runtimes={},
        )
        book = HoldBook(Loader(catalogue), Harness((model,)).scheduler, file, lambda _: None)
        try:
            await test(book, model)
        finally:
            book.close()

    asyncio.run(run())


def test_holds_are_read_again_until_they_have_ended(tmp_path: Path) -> None:
    file = tmp_path / "state" / "holds.json"

    async def begin(book: HoldBook, model: Model) -> None:
        book.begin(model, 3600.0, owner="ada", job="a demo", reason="guests")
        book.end(book.begin(model, 60.0).id, "ada")

    async def restore(book: HoldBook, model: Model) -> None:  # noqa: ARG001
        book.restore()
        (hold,) = book.all()
        assert (hold.owner, hold.job, hold.reason) == ("ada", "a demo", "guests")
        assert 3590 < hold.ends - time.monotonic() <= 3600

    with_book(file, begin)
    assert file.stat().st_mode & 0o777 == 0o600
    with_book(file, restore)
    shortened = json.loads(file.read_bytes())
    shortened[0]["until"] = time.time() - 1.0
    file.write_text(json.dumps(shortened))

    async def forget(book: HoldBook, model: Model) -> None:  # noqa: ARG001
        book.restore()
        assert book.all() == []

    with_book(file, forget)


@pytest.mark.parametrize(
    "content", [b"", b"[", b"{}", b"\xff", b'[{"id": "x"}]', b'[{"id":"x","model":"gone","until":1e12}]']
)
def test_a_damaged_file_is_forgotten(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "holds.json"
    file.write_bytes(content)

    async def restore(book: HoldBook, model: Model) -> None:
        book.restore()
        assert book.all() == []
        book.begin(model, 60.0)

    with_book(file, restore)
    assert len(json.loads(file.read_bytes())) == 1


def test_a_hold_that_another_sparkd_handed_over_does_not_begin_twice(tmp_path: Path) -> None:
    async def restore(book: HoldBook, model: Model) -> None:
        hold = book.begin(model, 3600.0)
        book.restore()
        assert book.all() == [hold]

    with_book(tmp_path / "holds.json", restore)


def test_a_lower_limit_shortens_holds(tmp_path: Path) -> None:
    file = tmp_path / "holds.json"
    file.write_text(json.dumps([{"id": "x", "model": "a", "until": 1e300}]))

    async def restore(book: HoldBook, model: Model) -> None:  # noqa: ARG001
        book.restore()
        (hold,) = book.all()
        assert hold.ends - time.monotonic() <= 60.0
        assert "held until" in hold.describe(time.monotonic())

    with_book(file, restore, max_hold=60.0)


def test_the_limits_of_a_hold(tmp_path: Path) -> None:
    async def test(book: HoldBook, model: Model) -> None:
        for seconds in (0.0, -1.0, 61.0, float("inf")):
            with pytest.raises(InvalidRequest, match="max_hold"):
                book.begin(model, seconds)
        for text in ("two\nlines", "x" * 201):
            with pytest.raises(InvalidRequest, match="reason"):
                book.begin(model, 60.0, reason=text)
        with pytest.raises(HoldNotFound):
            book.end("hold-0", "ada")
        for _ in range(MAX_HOLDS):
            book.begin(model, 60.0)
        with pytest.raises(HoldConflict, match="limit"):
            book.begin(model, 60.0)

    with_book(tmp_path / "holds.json", test, max_hold=60.0)


def test_a_file_that_cannot_be_written_ends_no_hold(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder belongs")

    async def test(book: HoldBook, model: Model) -> None:
        book.begin(model, 60.0)
        assert len(book.all()) == 1

    with_book(tmp_path / "state" / "holds.json", test)
