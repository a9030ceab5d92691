"""An engine that works, one that stands still, and one that only looks like it."""

from __future__ import annotations

from sparkd.engines.liveness import (
    MAX_STALLED_CHECKS,
    MAX_UNANSWERED_CHECKS,
    Liveness,
    Progress,
    parse_progress,
)

METRICS = """# HELP vllm:iteration_tokens_total Histogram of number of tokens per engine_step.
# TYPE vllm:iteration_tokens_total histogram
vllm:iteration_tokens_total_bucket{engine="0",le="1.0",model_name="m"} 12.0
vllm:iteration_tokens_total_count{engine="0",model_name="m"} 3071.0
vllm:iteration_tokens_total_count{engine="1",model_name="m"} 4.0
vllm:num_requests_running{engine="0",model_name="m"} 2.0
vllm:num_requests_running{engine="1",model_name="m"} 0.0
"""


def check_liveness(*looks: tuple[float, float]) -> Liveness:
    liveness = Liveness()
    for steps, running in looks:
        liveness.record_progress(Progress(steps, running))
    return liveness


def test_the_counters_of_every_engine_core_count() -> None:
    assert parse_progress(METRICS) == Progress(3075.0, 2.0)


def test_an_engine_without_such_counters_is_not_judged() -> None:
    assert parse_progress("llamacpp:requests_processing 1\n") is None
    assert parse_progress("") is None
    assert parse_progress(METRICS.replace("2.0", "two")) is None


def test_three_looks_in_a_row_that_find_no_step_are_the_end() -> None:
    still = [(7.0, 1.0)] * MAX_STALLED_CHECKS
    assert not check_liveness(*still).wedged, "the first look has nothing to compare with"
    assert check_liveness(*still, (7.0, 1.0)).wedged


def test_one_step_is_enough_to_be_alive() -> None:
    assert not check_liveness((7, 1), (7, 1), (7, 1), (8, 1), (8, 1), (8, 1)).wedged


def test_an_engine_with_no_request_in_it_may_stand_still() -> None:
    assert not check_liveness(*[(7.0, 0.0)] * 9).wedged


def test_late_answers_count_only_when_there_is_none_for_long() -> None:
    liveness = check_liveness((7, 1))
    for _ in range(MAX_UNANSWERED_CHECKS - 1):
        liveness.record_no_answer()
    assert not liveness.wedged
    liveness.record_progress(Progress(7, 1))
    liveness.record_no_answer()
    assert not liveness.wedged
    for _ in range(MAX_UNANSWERED_CHECKS):
        liveness.record_no_answer()
    assert liveness.wedged


def test_a_pause_between_requests_begins_anew() -> None:
    liveness = check_liveness((7, 1), (7, 1), (7, 1))
    liveness.reset()
    liveness.record_progress(Progress(7, 1))
    assert not liveness.wedged
