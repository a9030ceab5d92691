"""When models and builds start cold after failures, against a model of the rules in a few lines."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sparkd.launcher.failures import MAX_FAILURES, WarmFailure, WarmFailures
from sparkd.learning.history import History

BUILDS = st.sampled_from(["cpu@1", "cpu@2"])
MODELS = st.sampled_from(["", "small", "large"])
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("failure"), BUILDS, MODELS, st.booleans()),
        st.tuples(st.sampled_from(["success", "clear"]), BUILDS, st.just(""), st.just(False)),
    ),
    max_size=12,
)


class Saved:
    """What the database would have after the same calls."""

    def __init__(self) -> None:
        self.failures = WarmFailures()
        self.rows: dict[tuple[str, str], WarmFailure] = {}

    def apply(self, kind: str, build: str, model: str, final: bool) -> None:
        if kind == "failure":
            changed = [self.failures.add(build, model, f"cause of {model}", final=final)]
        elif kind == "success":
            changed = self.failures.record_success(build)
        else:
            self.failures.clear(build)
            self.rows = {key: row for key, row in self.rows.items() if key[0] != build}
            return
        self.rows.update({(each.build, each.model): each for each in changed})


@given(EVENTS, BUILDS, MODELS)
def test_a_build_is_off_after_two_failures_without_a_success_between(
    events: list[tuple[str, str, str, bool]], build: str, model: str
) -> None:
    saved, recent, failed = Saved(), 0, set()
    for kind, of_build, of_model, final in events:
        saved.apply(kind, of_build, of_model, final)
        if of_build != build:
            continue
        if kind == "failure":
            recent += MAX_FAILURES if final else 1
            failed.add(of_model)
        else:
            recent = 0
            failed = failed if kind == "success" else set()
    is_off = recent >= MAX_FAILURES
    assert (saved.failures.find_build_reason(build) is not None) == is_off
    assert (saved.failures.find_reason(build, model) is not None) == (is_off or model in failed)


@given(EVENTS, BUILDS, MODELS)
def test_what_is_saved_is_what_is_known(
    events: list[tuple[str, str, str, bool]], build: str, model: str
) -> None:
    saved = Saved()
    for event in events:
        saved.apply(*event)
    restored = WarmFailures(saved.rows.values())
    for failures in (saved.failures, restored):
        assert (failures.find_build_reason(build) is None) == (
            saved.failures.find_build_reason(build) is None
        )
    assert (restored.find_reason(build, model) is None) == (saved.failures.find_reason(build, model) is None)


def test_the_reason_names_the_cause() -> None:
    failures = WarmFailures()
    failures.add("cpu@1", "small", "it crashed")
    assert failures.find_reason("cpu@1", "small") == "its warm start failed: it crashed"
    assert failures.find_reason("cpu@1", "large") is None
    failures.add("cpu@1", "large", "it hung")
    assert failures.find_reason("cpu@1", "third") == "warm starts of this runtime failed: it hung"
    assert failures.find_reason("cpu@2", "small") is None


def test_the_history_keeps_failures_until_they_are_cleared(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    history = History.open(path, "boot 1")
    history.record_warm_failure("cpu@1", "small", "it crashed", 1)
    history.record_warm_failure("cpu@1", "small", "it hung", 2)
    history.record_warm_failure("cpu@2", "small", "it crashed", 1)
    history.close()
    history = History.open(path, "boot 2")
    assert sorted(history.warm_failures()) == [
        ("cpu@1", "small", "it hung", 2),
        ("cpu@2", "small", "it crashed", 1),
    ]
    history.clear_warm_failures("cpu@1")
    assert history.warm_failures() == [("cpu@2", "small", "it crashed", 1)]
    history.close()


def test_a_history_without_the_table_gets_it_and_keeps_the_rest(tmp_path: Path) -> None:
    """A file that an earlier sparkd has written."""
    path = tmp_path / "history.sqlite"
    history = History.open(path, "boot 1")
    history.record_leak(5)
    history.close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE warm_failures")
    connection.close()
    history = History.open(path, "boot 1")
    assert history.leaked == 5
    assert history.warm_failures() == []
    history.record_warm_failure("cpu@1", "", "it crashed", 1)
    assert history.warm_failures() == [("cpu@1", "", "it crashed", 1)]
    history.close()
