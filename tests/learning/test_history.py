"""The history outlives sparkd, and a file that cannot be read loses only what was learned."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkd.learning.history import MAX_LOADS, MAX_RUNS, History
from sparkd.learning.load_estimates import PastLoad
from sparkd.learning.past_runs import PastRun, run_key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.sqlite"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    opened = History.open(path, "boot 1")
    yield opened
    opened.close()


def reopen(history: History, path: Path, boot: str = "boot 1") -> History:
    history.close()
    return History.open(path, boot)


def make_run(peak: int) -> PastRun:
    return PastRun(peak=peak, final=peak // 2, load_time=3.5, phases={"loading weights": 2.0})


def test_a_model_that_has_never_run_has_no_profile(history: History) -> None:
    assert history.profile("a", "k") is None


def test_the_footprint_is_the_highest_of_the_last_runs_and_outlives_sparkd(
    history: History, path: Path
) -> None:
    for peak in (90, 20, 40):
        history.add_run("a", "k", make_run(peak))
    later = reopen(history, path)
    profile = later.profile("a", "k")
    assert profile is not None
    assert (profile.footprint, profile.last, profile.runs) == (90, make_run(40), 3)
    later.close()


def test_old_runs_are_forgotten(history: History, path: Path) -> None:
    history.add_run("a", "k", make_run(90))
    for _ in range(MAX_RUNS):
        history.add_run("a", "k", make_run(40))
    for each in (history, reopen(history, path)):
        profile = each.profile("a", "k")
        assert profile is not None
        assert (profile.footprint, profile.runs) == (40, MAX_RUNS)
    each.close()


def test_another_command_line_environment_or_runtime_has_another_key() -> None:
    first = run_key(["vllm", "serve"], {"A": "1"}, "r-1")
    assert first == run_key(["vllm", "serve"], {"A": "1"}, "r-1")
    others = [
        (["vllm"], {"A": "1"}, "r-1"),
        (["vllm", "serve"], {}, "r-1"),
        (["vllm", "serve"], {"A": "1"}, "r-2"),
    ]
    assert first not in {run_key(*other) for other in others}


def test_the_next_sparkd_knows_what_was_starting_when_sparkd_was_killed(history: History, path: Path) -> None:
    history.record_start("a", "k")
    history.record_start("b", "k")
    history.clear_start("b")
    assert reopen(history, path).find_interrupted_starts() == {"a": ("k", False)}
    assert History.open(path, "boot 2").find_interrupted_starts() == {"a": ("k", True)}


def test_a_quarantine_lasts_until_a_retry_or_another_definition_lifts_it(
    history: History, path: Path
) -> None:
    history.quarantine("a", "k", "It froze.")
    later = reopen(history, path)
    assert later.quarantine_cause("a", "k") == "It froze."
    assert later.quarantine_cause("a", "another") is None
    later.clear_quarantine("a")
    assert later.quarantine_cause("a", "k") is None
    later.close()


def test_kills_by_the_guard_add_up_across_restarts(history: History, path: Path) -> None:
    assert history.count_guard_kill("a", "k") == 1
    later = reopen(history, path)
    assert later.count_guard_kill("a", "k") == 2
    assert later.count_guard_kill("a", "another") == 1
    later.clear_quarantine("a")
    assert later.guard_kills("a", "another") == 0
    later.close()


def test_a_leak_lasts_until_the_machine_restarts(history: History, path: Path) -> None:
    history.record_leak(3 * 2**40)
    later = reopen(history, path)
    assert later.leaked == 3 * 2**40
    assert reopen(later, path, "boot 2").leaked == 0


@pytest.mark.parametrize(
    "content", [b"not a database at all, and long enough to be sure" * 99, b"SQLite format 3\0" + b"x" * 4096]
)
def test_a_corrupt_file_is_moved_to_a_backup_and_reported(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    history = History.open(path, "boot")
    (backup,) = [other for other in path.parent.iterdir() if other.name.startswith("history.sqlite.")]
    assert backup.read_bytes() == content
    assert str(backup) in history.notices[0]
    history.add_run("a", "k", make_run(1))
    assert reopen(history, path, "boot").profile("a", "k")


def test_a_damaged_page_is_found_when_the_file_is_opened(history: History, path: Path) -> None:
    for number in range(300):
        history.add_run(f"model {number}", "k", make_run(number))
    history.close()
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 4] = b"\xff" * 8192
    path.write_bytes(content)
    assert "Cannot read" in History.open(path, "boot").notices[0]


def test_a_file_of_a_later_sparkd_is_moved_to_a_backup(history: History, path: Path) -> None:
    history.close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert "version 99" in History.open(path, "boot").notices[0]


def test_without_a_writable_folder_the_history_is_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    history = History.open(tmp_path / "state" / "history.sqlite", "boot")
    assert "forget what it learns when it stops" in history.notices[0]
    history.add_run("a", "k", make_run(7))
    assert history.profile("a", "k") is not None


def test_only_models_with_records_are_returned_for_a_start(tmp_path: Path) -> None:
    history = History.open(tmp_path / "history.sqlite", "boot")
    history.quarantine("frozen", "key", "It may be what froze the machine.")
    history.count_guard_kill("greedy", "key")
    history.add_run("good", "key", PastRun(1, 1, 1.0, {}))
    assert history.models_with_records() == {"frozen", "greedy"}
    history.clear_quarantine("frozen")
    assert history.models_with_records() == {"greedy"}
    history.close()


def test_the_last_action_of_the_guard_outlives_restarts_and_retries(history: History, path: Path) -> None:
    assert history.last_guard_action is None
    before = time.time()
    history.record_guard_action("a")
    history.record_guard_action("b")
    history.clear_quarantine("b")
    later = reopen(history, path)
    assert later.last_guard_action is not None
    model, acted_at = later.last_guard_action
    assert model == "b"
    assert before <= acted_at <= time.time()
    later.close()


def make_load(seconds: float, *, is_warm: bool = True) -> PastLoad:
    return PastLoad(seconds, {"loading weights": seconds / 2}, is_warm, 4096)


def test_loads_outlive_sparkd_and_are_kept_by_kind(history: History, path: Path) -> None:
    history.add_load("a", "k", make_load(99.0, is_warm=False))
    for seconds in range(MAX_LOADS + 2):
        history.add_load("a", "k", make_load(float(seconds)))
    kept = [make_load(99.0, is_warm=False), *(make_load(float(each)) for each in range(2, MAX_LOADS + 2))]
    assert history.loads("a", "k") == kept
    later = reopen(history, path)
    assert later.loads("a", "k") == kept
    assert later.all_loads() == {("a", "k"): kept}
    assert later.loads("a", "another definition") == []
    later.close()


def test_before_any_load_is_recorded_runs_say_how_long_they_took(history: History) -> None:
    history.add_run("a", "k", make_run(90))
    assert history.loads("a", "k") == [PastLoad(3.5, {"loading weights": 2.0})]
