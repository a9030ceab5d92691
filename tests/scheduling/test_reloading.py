"""A catalogue that is read again: who is drained, who is refused, and who notices nothing."""

from __future__ import annotations

from msgspec import structs

from sparkd.catalog.settings import Failures, Queue
from sparkd.errors import ModelStopped
from sparkd.scheduling.forecaster import Forecaster
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.simulation import ASSUMED_STOP_TIME
from tests.scheduling.harness import FixedLoads, Harness, a_model


def test_a_model_that_would_be_started_differently_is_drained_and_comes_back_as_it_is_now() -> None:
    harness = Harness((a_model("a"), a_model("b")))
    served = harness.run("a")
    harness.reload(a_model("a", context_length=5), a_model("b"), restart=("a",))
    assert harness.state("a") is State.DRAINING
    waiting = harness.request("a")
    assert served in harness.granted
    assert harness.is_waiting(waiting)
    harness.leave(served)
    assert harness.reasons == ["its definition changed"]
    harness.exit_and_reclaim("a")
    harness.become_healthy("a")
    assert waiting in harness.granted
    entry = harness.scheduler.entry("a")
    assert entry is not None
    assert entry.model.context_length == 5


def test_a_model_that_is_starting_is_restarted_and_its_requests_keep_waiting() -> None:
    harness = Harness((a_model("a"),))
    waiting = harness.request("a")
    harness.reload(a_model("a", context_length=5), restart=("a",))
    assert harness.state("a") is State.STOPPING
    harness.exit_and_reclaim("a")
    assert harness.launches == ["a", "a"]
    harness.become_healthy("a")
    assert waiting in harness.granted


def test_new_timeouts_of_a_model_apply_at_once_without_a_restart() -> None:
    harness = Harness((a_model("a", idle_timeout=1000.0),))
    harness.run_and_finish("a")
    harness.reload(a_model("a", idle_timeout=10.0))
    assert harness.state("a") is State.READY
    harness.wait(10.0)
    assert harness.reasons == ["idle for 10 seconds"]


def test_a_removed_model_finishes_what_it_has_begun_and_is_forgotten() -> None:
    harness = Harness((a_model("a"), a_model("b")))
    served = harness.run("a")
    harness.reload(a_model("b"))
    assert served in harness.granted
    assert harness.state("a") is State.DRAINING
    harness.leave(served)
    assert harness.reasons == ["it was removed from the catalogue or disabled"]
    harness.exit_and_reclaim("a")
    assert harness.scheduler.entry("a") is None
    harness.run_and_finish("b")


def test_requests_that_wait_for_a_removed_model_are_refused() -> None:
    harness = Harness((a_model("a"), a_model("b")))
    harness.run("b")
    waiting = harness.request("a")
    harness.reload(a_model("b"))
    assert isinstance(harness.refused[waiting], ModelStopped)
    assert harness.state("b") is State.READY


def test_a_disabled_model_is_treated_as_a_removed_one_and_may_come_back() -> None:
    harness = Harness((a_model("a"),))
    harness.run_and_finish("a")
    harness.reload(a_model("a", status="disabled"))
    assert harness.state("a") is State.STOPPING
    harness.reload(a_model("a"))
    waiting = harness.request("a")
    harness.exit_and_reclaim("a")
    harness.become_healthy("a")
    assert waiting in harness.granted


def test_a_pinned_model_goes_too() -> None:
    harness = Harness((a_model("a", pinned=True),))
    harness.run_and_finish("a")
    harness.reload()
    assert harness.state("a") is State.STOPPING


def test_a_change_that_matters_to_a_start_lifts_a_quarantine_and_no_other_does() -> None:
    harness = Harness((a_model("a"), a_model("b")), failures=Failures(max_failures=1))
    for name in ("a", "b"):
        harness.request(name)
        harness.exit_and_reclaim(name)
    harness.reload(a_model("a", start_timeout=5.0), a_model("b", description="b", idle_timeout=9.0))
    assert harness.state("a") is State.STOPPED
    assert harness.state("b") is State.BACKOFF, "its start knows nothing of that"


def test_a_new_max_wait_applies_to_requests_that_wait_already() -> None:
    harness = Harness((a_model("a"), a_model("b", 80)))
    harness.run("a")
    first = harness.request("b")
    harness.wait(10.0)
    harness.queue = structs.replace(Queue(), max_wait=15.0)
    harness.reload(*harness.models)
    second = harness.request("b")
    harness.wait(5.0)
    assert first in harness.refused
    assert harness.is_waiting(second)
    harness.wait(10.0)
    assert second in harness.refused


def test_what_has_leaked_stays_leaked() -> None:
    harness = Harness((a_model("a"),))
    harness.run_and_finish("a")
    harness.stop("a")
    harness.exit("a")
    harness.reclaim("a", missing=7)
    harness.reload(a_model("a"))
    assert harness.scheduler.budget.bytes == 93


def test_a_model_at_rest_shows_the_footprint_it_has_now() -> None:
    harness = Harness((a_model("a", 40),))
    harness.run_and_finish("a")
    harness.stop("a")
    harness.exit_and_reclaim("a")
    harness.reload(a_model("a", 60))
    entry = harness.scheduler.entry("a")
    assert entry is not None
    assert entry.footprint == 60


def test_a_remembered_quarantine_does_not_apply_to_a_model_that_returns_while_it_is_stopping() -> None:
    harness = Harness((a_model("a"),))
    harness.run_and_finish("a")
    harness.reload()
    harness.reload(a_model("a"))
    harness.apply(harness.scheduler.on_remembered("a", 0, "it froze the machine once", harness.now))
    assert harness.state("a") is State.STOPPING
    harness.exit_and_reclaim("a")
    assert harness.state("a") is State.STOPPED


def a_removed_model_whose_response_outlives_its_process() -> tuple[Harness, int]:
    """Its drain deadline has passed, its process was terminated and has exited, and its client is still there."""
    harness = Harness((a_model("a", drain_timeout=60.0), a_model("b", 80)))
    served = harness.run("a")
    harness.reload(a_model("b", 80))
    harness.wait(60.0)
    harness.exit_and_reclaim("a")
    assert harness.scheduler.entry("a") is None
    return harness, served


def test_forecasts_survive_a_response_of_a_model_that_is_gone() -> None:
    harness, _ = a_removed_model_whose_response_outlives_its_process()
    harness.request("b")
    waiting = harness.request("b")
    forecast = Forecaster(harness.scheduler, FixedLoads(30.0)).forecast(waiting, harness.now)
    assert forecast is not None
    assert forecast.seconds == 30.0


def test_sparkd_is_not_replaced_before_the_response_of_a_model_that_is_gone_has_ended() -> None:
    harness, served = a_removed_model_whose_response_outlives_its_process()
    assert not harness.scheduler.is_transferable
    harness.leave(served)
    assert harness.scheduler.is_transferable


def test_the_response_of_a_model_that_is_gone_does_not_end_a_request_for_its_successor() -> None:
    harness, served = a_removed_model_whose_response_outlives_its_process()
    harness.reload(a_model("a"), a_model("b", 80))
    harness.run("a")
    harness.leave(served)
    entry = harness.scheduler.entry("a")
    assert entry is not None
    assert len(entry.leases) == 1


def test_forecasts_foresee_that_a_removed_model_ends_before_its_response() -> None:
    harness = Harness((a_model("a", drain_timeout=60.0), a_model("b", 80), a_model("c", 80)))
    first = harness.run("a")
    harness.wait(100.0)  # so long its responses take
    harness.leave(first)
    harness.request("a")
    harness.reload(a_model("b", 80), a_model("c", 80))
    waiting = [harness.request(model) for model in ("b", "c")]
    forecaster = Forecaster(harness.scheduler, FixedLoads(30.0))
    seconds = [getattr(forecaster.forecast(ticket, harness.now), "seconds", None) for ticket in waiting]
    assert seconds[0] == 60.0 + ASSUMED_STOP_TIME + 30.0
    assert seconds[1] is not None
    assert seconds[1] > 100.0
