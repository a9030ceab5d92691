"""What a model's past says about its sessions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkd.scheduling.sessions import KEPT_PAUSES, LONGEST_PAUSE, MARGIN, Sessions


def sessions_with(*pauses: float) -> Sessions:
    sessions = Sessions()
    for pause in pauses:
        sessions.add_pause(0.0, pause, is_ready=True)
    return sessions


def test_without_a_past_no_request_is_expected() -> None:
    assert sessions_with().expected_pause() == 0.0
    assert sessions_with(1000.0, 2000.0).expected_pause() == 0.0


def test_a_session_is_over_after_the_longest_usual_pause_and_a_margin() -> None:
    assert sessions_with(10.0, 30.0, 20.0).expected_pause() == 33.0 + MARGIN


def test_a_model_that_is_seldom_asked_twice_is_free_at_once() -> None:
    assert sessions_with(1000.0, 10.0, 1000.0, 1000.0, 1000.0).expected_pause() <= MARGIN


def test_long_pauses_between_sessions_do_not_hide_the_short_ones() -> None:
    pauses = [20.0, 40.0, 60.0, 80.0, 3600.0] * 3
    assert 60.0 < sessions_with(*pauses).expected_pause() < 100.0


@given(st.lists(st.floats(0.0, 10_000.0), max_size=40))
def test_no_past_protects_an_idle_model_for_longer_than_the_longest_pause(pauses: list[float]) -> None:
    sessions = sessions_with(*pauses)
    assert 0.0 <= sessions.expected_pause() <= LONGEST_PAUSE
    assert len(sessions.pauses) <= KEPT_PAUSES
    assert sessions.expected_rest(None) > 0.0


def test_the_length_of_a_session_is_the_time_that_it_used_the_model() -> None:
    sessions = Sessions()
    sessions.resume(1000.0)
    sessions.suspend(1100.0)  # evicted
    sessions.resume(1500.0)
    sessions.add_pause(1550.0, 1560.0, is_ready=True)
    sessions.add_pause(1600.0, 5000.0, is_ready=True)
    assert sessions.length == 200.0
    assert sessions.expected_rest(None) == 200.0
    assert sessions.expected_rest(5050.0) == 150.0
    assert sessions.expected_rest(9000.0) == 50.0


def test_a_model_that_was_evicted_meanwhile_has_its_session_counted_once() -> None:
    sessions = Sessions()
    sessions.resume(1000.0)
    sessions.suspend(1100.0)
    sessions.add_pause(1100.0, 5000.0, is_ready=False)
    assert sessions.length == 100.0
