from __future__ import annotations

import itertools

import pytest

from sparkd.scheduling.lifecycle import TRANSITIONS, Event, LifecycleError, State, next_state, render_mermaid

LISTED = [(state, event) for state, row in TRANSITIONS.items() for event in row]
LATE = [(state, Event.HEALTHY) for state in (State.STOPPED, State.STOPPING, State.BACKOFF)]
UNLISTED = [pair for pair in itertools.product(State, Event) if pair not in LISTED + LATE]


@pytest.mark.parametrize(("state", "event"), LISTED)
def test_a_listed_event_leads_where_the_table_says(state: State, event: Event) -> None:
    assert next_state(state, event) is TRANSITIONS[state][event]


@pytest.mark.parametrize(("state", "event"), LATE)
def test_a_late_healthy_changes_nothing(state: State, event: Event) -> None:
    assert next_state(state, event) is state


@pytest.mark.parametrize(("state", "event"), UNLISTED)
def test_any_other_event_raises(state: State, event: Event) -> None:
    with pytest.raises(LifecycleError, match=f"{event} cannot happen to a model that is {state}"):
        next_state(state, event)


def test_every_state_can_be_reached_and_left() -> None:
    reached = {following for row in TRANSITIONS.values() for following in row.values()}
    assert reached == set(State)
    assert all(set(row.values()) - {state} for state, row in TRANSITIONS.items())


def test_the_diagram_draws_every_arrow_between_states() -> None:
    drawn = render_mermaid()
    for state, event in LISTED:
        if TRANSITIONS[state][event] is not state:
            assert f"{state} --> {TRANSITIONS[state][event]}: {event}" in drawn
