"""What sparkd has learned outlives it, and a file that is not what it should be costs nothing but that."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkd.learning.history import RUNS_KEPT, History, PastRun, run_key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.sqlite"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    opened = History.open(path, "boot 1")
    yield opened
    opened.close()


def again(history: History, path: Path, boot: str = "boot 1") -> History:
    history.close()
    return History.open(path, boot)


def a_run(peak: int) -> PastRun:
    return PastRun(peak=peak, settled=peak // 2, load_time=3.5, phases={"loading weights": 2.0})


def test_a_model_that_has_never_run_has_taught_nothing(history: History) -> None:
    assert history.learned("a", "k") is None


def test_the_footprint_is_the_highest_of_the_last_runs_and_outlives_sparkd(
    history: History, path: Path
) -> None:
    for peak in (90, 20, 40):
        history.add("a", "k", a_run(peak))
    later = again(history, path)
    learned = later.learned("a", "k")
    assert learned is not None
    assert (learned.footprint, learned.last, learned.runs) == (90, a_run(40), 3)
    later.close()


def test_what_was_long_ago_is_forgotten(history: History, path: Path) -> None:
    history.add("a", "k", a_run(90))
    for _ in range(RUNS_KEPT):
        history.add("a", "k", a_run(40))
    for seen in (history, again(history, path)):
        learned = seen.learned("a", "k")
        assert learned is not None
        assert (learned.footprint, learned.runs) == (40, RUNS_KEPT)
    seen.close()


def test_another_command_line_environment_or_runtime_is_another_model_to_learn() -> None:
    first = run_key(["vllm", "serve"], {"A": "1"}, "r-1")
    assert first == run_key(["vllm", "serve"], {"A": "1"}, "r-1")
    others = [
        (["vllm"], {"A": "1"}, "r-1"),
        (["vllm", "serve"], {}, "r-1"),
        (["vllm", "serve"], {"A": "1"}, "r-2"),
    ]
    assert first not in {run_key(*other) for other in others}


def test_what_was_starting_when_sparkd_died_is_known_to_the_next(history: History, path: Path) -> None:
    history.begin("a", "k")
    history.begin("b", "k")
    history.end("b")
    assert again(history, path).interrupted() == {"a": ("k", False)}
    assert History.open(path, "boot 2").interrupted() == {"a": ("k", True)}


def test_a_hold_stands_until_the_operator_or_another_definition_lifts_it(
    history: History, path: Path
) -> None:
    history.hold("a", "k", "It froze.")
    later = again(history, path)
    assert later.held("a", "k") == "It froze."
    assert later.held("a", "another") is None
    later.release("a")
    assert later.held("a", "k") is None
    later.close()


def test_kills_by_the_guard_add_up_across_restarts(history: History, path: Path) -> None:
    assert history.guard_killed("a", "k") == 1
    later = again(history, path)
    assert later.guard_killed("a", "k") == 2
    assert later.guard_killed("a", "another") == 1
    later.release("a")
    assert later.guard_kills("a", "another") == 0
    later.close()


def test_a_leak_lasts_until_the_machine_is_booted_again(history: History, path: Path) -> None:
    history.note_leaked(3 * 2**40)
    later = again(history, path)
    assert later.leaked == 3 * 2**40
    assert again(later, path, "boot 2").leaked == 0


@pytest.mark.parametrize(
    "content", [b"not a database at all, and long enough to be sure" * 99, b"SQLite format 3\0" + b"x" * 4096]
)
def test_a_corrupt_file_is_set_aside_and_said(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    history = History.open(path, "boot")
    (aside,) = [other for other in path.parent.iterdir() if other.name.startswith("history.sqlite.")]
    assert aside.read_bytes() == content
    assert str(aside) in history.notices[0]
    history.add("a", "k", a_run(1))
    assert again(history, path, "boot").learned("a", "k")


def test_a_damaged_page_is_found_when_the_file_is_opened(history: History, path: Path) -> None:
    for number in range(300):
        history.add(f"model {number}", "k", a_run(number))
    history.close()
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 4] = b"\xff" * 8192
    path.write_bytes(content)
    assert "cannot be read" in History.open(path, "boot").notices[0]


def test_tables_of_a_later_sparkd_are_set_aside(history: History, path: Path) -> None:
    history.close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert "version 99" in History.open(path, "boot").notices[0]


def test_a_folder_that_cannot_be_written_costs_only_the_memory(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    history = History.open(tmp_path / "state" / "history.sqlite", "boot")
    assert "forgotten when it stops" in history.notices[0]
    history.add("a", "k", a_run(7))
    assert history.learned("a", "k") is not None


def test_only_models_with_a_past_are_looked_at_when_sparkd_starts(tmp_path: Path) -> None:
    history = History.open(tmp_path / "history.sqlite", "boot")
    history.hold("frozen", "key", "It may be what froze the machine.")
    history.guard_killed("greedy", "key")
    history.add("good", "key", PastRun(1, 1, 1.0, {}))
    assert history.noted() == {"frozen", "greedy"}
    history.release("frozen")
    assert history.noted() == {"greedy"}
    history.close()


def test_when_the_guard_last_acted_is_known_across_restarts_and_no_retry_undoes_it(
    history: History, path: Path
) -> None:
    assert history.last_guard_action is None
    before = time.time()
    history.guard_acted("a")
    history.guard_acted("b")
    history.release("b")
    later = again(history, path)
    assert later.last_guard_action is not None
    model, moment = later.last_guard_action
    assert model == "b"
    assert before <= moment <= time.time()
    later.close()


def test_a_file_of_an_earlier_sparkd_that_knew_no_last_action_keeps_what_it_has(
    history: History, path: Path
) -> None:
    history.add("a", "k", a_run(100))
    history.close()
    with sqlite3.connect(path) as file:
        file.execute("DROP TABLE guard_acted")
    file.close()
    later = History.open(path, "boot 2")
    assert later.notices == ()
    assert later.last_guard_action is None
    assert later.learned("a", "k") is not None
    later.close()
