"""A model's state in lists."""

from __future__ import annotations

import pytest

from sparkd.engines.engine import Milestone
from sparkd.scheduling.model_state import MAX_REASON, ModelState, describe_model_state, shorten_reason
from tests.scheduling.harness import Harness, a_model


def describe(harness: Harness) -> ModelState:
    step = Milestone("loading weights", 0.412)
    return describe_model_state(harness.scheduler.entry("a"), step, 50.4)


def test_every_state_of_a_model_has_one_in_lists() -> None:
    harness = Harness((a_model("a"),))
    assert describe(harness) == ModelState()
    ticket = harness.request("a")
    assert describe(harness) == ModelState(
        state="loading", residency="loading", phase="loading weights", progress=0.41, seconds_left=50
    )
    harness.become_healthy("a")
    assert describe(harness) == ModelState(state="loaded", residency="loaded")
    harness.leave(ticket)
    harness.stop("a")
    assert describe(harness) == ModelState()
    harness.exit_and_reclaim("a")
    harness.request("a")
    harness.exit("a", "No space left at /home/tom/models/qwen. Free some.")
    assert describe(harness) == ModelState(state="failed", reason="No space left at qwen.")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("it crashed", "it crashed."),
        ("Out of memory. Lower it.", "Out of memory."),
        ("/srv/models/q/config.json is not JSON", "config.json is not JSON."),
        ("no file in ~/models/q/", "no file in a folder."),
        ("use 2/3 of it, and and/or", "use 2/3 of it, and and/or."),
        ("see https://docs.vllm.ai/en/latest for more", "see https://docs.vllm.ai/en/latest for more."),
    ],
)
def test_a_reason_is_one_sentence_without_folders(text: str, reason: str) -> None:
    assert shorten_reason(text) == reason


def test_a_reason_is_short() -> None:
    assert len(shorten_reason("x" * 1000)) == MAX_REASON
