"""Forecasts of waiting requests: what they wait for, in which order, and for how long."""

from __future__ import annotations

from sparkd.catalog.settings import Queue
from sparkd.scheduling.forecast import Forecast, Leaving
from sparkd.scheduling.forecaster import MAX_AGE, Forecaster
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.simulation import ASSUMED_ANSWER_TIME, ASSUMED_STOP_TIME
from tests.scheduling.harness import FixedLoads, Harness, a_model

LOAD = 50.0


def make_machine(queue: Queue | None = None) -> Harness:
    """Three models, of which one fits at a time, and each keeps its memory for 30 s at least."""
    return Harness(tuple(a_model(name, 60) for name in "abc"), queue=queue or Queue())


def make_forecaster(harness: Harness, load: float | None = LOAD) -> Forecaster:
    return Forecaster(harness.scheduler, FixedLoads(load))


def forecast(harness: Harness, ticket: int, load: float | None = LOAD) -> Forecast:
    found = make_forecaster(harness, load).forecast(ticket, harness.now)
    assert found is not None
    return found


def test_a_load_takes_what_is_left_of_it() -> None:
    harness = make_machine()
    ticket = harness.request("a")
    harness.wait(20.0)
    assert forecast(harness, ticket) == Forecast(model="a", stage="loading", loading="a", seconds=LOAD - 20.0)


def test_without_anything_learned_no_seconds_are_made_up() -> None:
    harness = make_machine()
    assert forecast(harness, harness.request("a"), None).seconds is None
    assert forecast(harness, harness.request("b"), None).seconds is None


def test_the_next_model_waits_for_the_load_before_it_and_for_that_models_time() -> None:
    harness = make_machine()
    harness.request("a")
    ticket = harness.request("b")
    found = forecast(harness, ticket)
    assert (found.stage, found.position, found.ahead, found.loading) == ("queued", 1, ("a",), "a")
    # It keeps its memory for as long as it took to load, because it is in use for some of that time.
    assert found.seconds == LOAD + 30.0 + ASSUMED_STOP_TIME + LOAD


def test_positions_count_models_and_not_requests() -> None:
    harness = make_machine()
    for _ in range(3):
        harness.request("a")
    second = [harness.request("b") for _ in range(3)]
    third = harness.request("c")
    assert [forecast(harness, ticket).position for ticket in (*second, third)] == [1, 1, 1, 2]
    assert forecast(harness, third).ahead == ("a", "b")


def test_a_model_that_leaves_is_an_eviction() -> None:
    harness = make_machine()
    lease = harness.run("a")
    harness.wait(30.0)
    ticket = harness.request("b")
    harness.wait(30.0)
    found = forecast(harness, ticket)
    assert (found.stage, found.position, found.ahead) == ("evicting", 1, ())
    harness.leave(lease)
    assert forecast(harness, ticket).seconds == ASSUMED_STOP_TIME + LOAD


def test_the_time_of_an_end_is_learned() -> None:
    harness = make_machine()
    harness.run_and_finish("a")
    harness.wait(30.0)
    harness.request("b")
    harness.wait(9.0)
    harness.exit_and_reclaim("a")
    harness.become_healthy("b")
    harness.wait(30.0)
    ticket = harness.request("a")
    found = forecast(harness, ticket)
    assert found.seconds is not None
    assert found.seconds > 9.0 + LOAD


def test_a_granted_or_unknown_ticket_has_no_forecast() -> None:
    harness = make_machine()
    assert make_forecaster(harness).forecast(harness.run("a"), harness.now) is None
    assert make_forecaster(harness).forecast(4711, harness.now) is None


def test_a_request_that_has_not_arrived_waits_behind_those_that_have() -> None:
    harness = make_machine()
    harness.request("a")
    harness.request("b")
    found = make_forecaster(harness).forecast_request("c", harness.now)
    assert (found.position, found.ahead) == (2, ("a", "b"))
    assert harness.scheduler.waiting == 2


def test_one_simulation_serves_all_requests_for_a_second() -> None:
    harness = make_machine()
    harness.request("a")
    tickets = [harness.request("b") for _ in range(100)]
    loads = CountingLoads(LOAD)
    forecaster = Forecaster(harness.scheduler, loads)
    for after in (0.0, MAX_AGE / 2):
        for ticket in tickets:
            forecaster.forecast(ticket, harness.now + after)
    assert CountingLoads.simulations == 1
    forecaster.forecast(tickets[0], harness.now + MAX_AGE)
    assert CountingLoads.simulations == 2


def test_a_new_request_has_a_forecast_at_once() -> None:
    harness = make_machine()
    forecaster = make_forecaster(harness)
    forecaster.forecast(harness.request("a"), harness.now)
    found = forecaster.forecast(harness.request("b"), harness.now)
    assert found is not None
    assert found.seconds is not None


def test_a_full_queue_has_a_place_when_the_first_request_is_granted() -> None:
    harness = make_machine(Queue(max_length=2))
    harness.request("a")
    harness.wait(10.0)
    harness.request("b")
    assert make_forecaster(harness).next_grant(harness.now) == LOAD - 10.0


def test_a_session_is_assumed_to_go_on() -> None:
    """An agent comes back after each pause, so the model is not idle after the present response."""
    harness = Harness((a_model("a", 60, min_residency=None), a_model("b", 60, min_residency=None)))
    ticket = harness.run("a")
    for _ in range(5):
        harness.wait(20.0)
        harness.leave(ticket)
        harness.wait(10.0)
        ticket = harness.request("a")
    rival = harness.request("b")
    found = forecast(harness, rival)
    assert found.seconds is not None
    assert found.seconds > ASSUMED_ANSWER_TIME + ASSUMED_STOP_TIME + LOAD + 20.0


class CountingLoads(FixedLoads):
    """Counts how often a simulation begins with the load that is under way."""

    simulations = 0

    def left(self, entry: Entry, now: float) -> float | None:
        CountingLoads.simulations += 1
        return super().left(entry, now)


def test_a_forecast_ends_no_hold() -> None:
    harness = make_machine()
    harness.run_and_finish("a")
    hold = harness.hold("a", 100.0)
    make_forecaster(harness).forecast_request("b", harness.now)
    assert list(harness.scheduler.holds()) == [hold]
    harness.wait(100.0)
    entry = harness.scheduler.entry("a")
    assert entry is not None
    assert entry.holds == ()


def test_a_forecast_names_the_models_that_leave_and_their_requests() -> None:
    harness = make_machine()
    harness.request("a")
    harness.become_healthy("a")
    ticket = harness.request("b")
    assert forecast(harness, ticket).leaving == (Leaving("a", 1),)
    third = harness.request("c")
    assert forecast(harness, third).leaving == ()  # b, which leaves for it, is not in memory yet
