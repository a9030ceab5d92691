"""Clients that wait for a model which takes 400 simulated seconds to load, and for what ends badly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.waiting.judging import ANSWERED, GAVE_UP
from tests.clients.waiting.programs import ALL, Library, Program, running_programs
from tests.clients.waiting.results import LIMITS, MARK, PAGE, STYLES, Row, format_table, read_rows
from tests.clients.waiting.rounds import Failure, run_failures, run_guard_kill, run_styles


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Program]]:
    with running_programs(Path(tmp_path_factory.mktemp("programs"))) as programs:
        yield programs


@pytest.fixture(scope="module")
def rows(programs: list[Program]) -> list[Row]:
    return run_styles(programs).dump()


@pytest.fixture(scope="module")
def failures(programs: list[Program]) -> dict[str, Failure]:
    return {**run_failures(programs), "killed": run_guard_kill(programs)}


def describe(rows: list[Row], style: str, *, but: str) -> list[str]:
    return [f"{row['client']}, {row['request']}: {row[style]}" for row in rows if row[style] != but]


@pytest.mark.parametrize("style", STYLES)
def test_the_page_says_what_each_client_gets(rows: list[Row], style: str) -> None:
    def only(rows: list[Row]) -> list[str]:
        return [f"{row['client']}, {row['request']}: {row[style]}" for row in rows]

    assert only(rows) == only(read_rows()), "run python -m tests.clients.waiting"


def test_with_the_default_every_library_is_answered(rows: list[Row]) -> None:
    patient = [row for row in rows if not row["client"].startswith("as ")]
    left = describe(patient, "chunk", but=ANSWERED)
    assert len(left) <= 1, left
    assert all("chunkMs" in line for line in left)


def test_without_heartbeats_every_library_gives_up(rows: list[Row]) -> None:
    libraries = [row for row in rows if not row["client"].startswith("as ")]
    assert describe(libraries, "off", but=GAVE_UP) == []


def test_where_only_text_counts_the_style_reasoning_helps(rows: list[Row]) -> None:
    semantic = [row for row in rows if row["timeout"].endswith("without text")]
    assert len(semantic) == 2
    assert describe(semantic, "chunk", but=GAVE_UP) == describe(semantic, "reasoning", but=ANSWERED) == []


def test_the_table_of_the_page_is_that_of_the_file() -> None:
    assert MARK + format_table(read_rows()) in PAGE.read_text(), "run python -m tests.clients.waiting"


def test_every_version_is_that_of_the_lock_files() -> None:
    pinned = {f"{library.title} {library.version}" for library in ALL}
    assert pinned == {row["client"] for row in read_rows() if not row["client"].startswith("as ")}
    assert {title for title, _ in LIMITS} <= {library.title for library in ALL}


SAYS = {
    "fails-early": 'Model "fails-early" failed',
    "fails-late": 'Model "fails-late" failed',
    "killed": "the memory guard killed it",
    "too-long": "takes 2,000",
}
CODES = {name: "context_length_exceeded" if name == "too-long" else "model_failed" for name in SAYS}
WITHOUT_CODES = ("messages", "anthropic")
"""Anthropic's errors have no codes."""

CANNOT_COUNT = ("messages", "anthropic", "responses")
"""The engine counts only chats and completions, so these get an answer."""


def cases(failure: Failure, library: Library) -> Iterator[tuple[str, dict[str, Any]]]:
    for case, (outcome,) in failure.outcomes[library.title].items():
        yield case, outcome


@pytest.mark.parametrize("name", SAYS)
@pytest.mark.parametrize("library", ALL, ids=lambda library: library.title)
def test_a_library_raises_what_went_wrong(failures: dict[str, Failure], library: Library, name: str) -> None:
    for case, outcome in cases(failures[name], library):
        if name == "too-long" and any(api in case for api in CANNOT_COUNT):
            assert "error" not in outcome, case
            continue
        assert "error" in outcome, f"{case} took it for an answer: {outcome}"
        error = outcome["error"]
        assert SAYS[name] in error["message"].replace("\\", ""), f"{case}: {error}"
        if error["code"] is not None:
            assert error["code"] == CODES[name], f"{case}: {error}"


def test_openais_libraries_have_the_code(failures: dict[str, Failure]) -> None:
    for library in ALL:
        if not library.title.startswith("OpenAI"):
            continue
        for name, failure in failures.items():
            for case, outcome in cases(failure, library):
                if "error" in outcome:
                    assert outcome["error"]["code"] == CODES[name], f"{case}, {name}: {outcome}"


def test_before_the_first_heartbeat_a_failure_has_its_status(failures: dict[str, Failure]) -> None:
    assert {stream.status for stream in failures["fails-early"].streams.values()} == {503}
    late = failures["fails-late"].streams
    assert {stream.status for stream in late.values()} == {200}
    for api, stream in late.items():
        assert stream.data.count(b"[DONE]") == 0, api
        assert stream.data.endswith(b"\n\n"), api
