"""Models that are loaded without a request, and how long operators keep models."""

from __future__ import annotations

import math

from sparkd.errors import ModelFailed
from sparkd.scheduling.claim import Claim
from sparkd.scheduling.lifecycle import State
from tests.scheduling.harness import Harness, a_model


def preloading(*models: object, **fields: object) -> Harness:
    """A scheduler that serves."""
    harness = Harness(models, **fields)  # type: ignore[arg-type]
    harness.serve()
    return harness


def test_a_model_is_preloaded_when_sparkd_serves_and_not_before() -> None:
    harness = Harness((a_model("a", preload=True), a_model("b")))
    harness.apply(harness.scheduler.on_tick(harness.now))
    assert harness.launches == []
    harness.serve()
    assert harness.launches == ["a"]


def test_models_are_preloaded_one_after_the_other_as_far_as_they_fit() -> None:
    harness = preloading(*(a_model(name, preload=True) for name in "abc"))
    assert harness.launches == ["a"]
    harness.become_healthy("a")
    assert harness.launches == ["a", "b"]
    harness.become_healthy("b")
    assert harness.launches == ["a", "b"], "the third one would have to evict"


def test_a_model_that_is_not_on_disk_is_not_preloaded() -> None:
    harness = Harness((a_model("a", preload=True),))
    harness.apply(harness.scheduler.on_serving(lambda _: False, harness.now))
    assert harness.launches == []


def test_a_preloaded_model_returns_once_the_model_that_evicted_it_has_gone_idle() -> None:
    harness = preloading(a_model("small", 60, preload=True), a_model("big", 80, idle_timeout=600.0))
    harness.become_healthy("small")
    ticket = harness.request("big")
    harness.wait(60)
    harness.exit_and_reclaim("small")
    harness.become_healthy("big")
    harness.leave(ticket)
    harness.wait(599)
    assert harness.launches == ["small", "big"], "the big one is still loaded"
    harness.wait(2)
    harness.exit_and_reclaim("big")
    assert harness.launches == ["small", "big", "small"]
    harness.become_healthy("small")
    harness.wait(100_000)
    assert harness.state("small") is State.READY, "it is not stopped for idleness"


def test_a_start_without_a_request_ends_for_another_models_request() -> None:
    harness = preloading(a_model("a", preload=True), a_model("b"))
    harness.request("b")
    assert harness.process("a").terminated
    harness.exit_and_reclaim("a")
    assert harness.launches == ["a", "b"]
    harness.become_healthy("b")
    assert harness.launches == ["a", "b", "a"]


def test_a_start_without_a_request_goes_on_for_its_own_models_request() -> None:
    harness = preloading(a_model("a", preload=True), a_model("b"))
    harness.request("a")
    harness.request("b")
    assert not harness.process("a").terminated


def test_what_was_starting_when_the_machine_froze_is_not_preloaded() -> None:
    harness = Harness((a_model("a", preload=True),))
    harness.apply(harness.scheduler.on_remembered("a", 0, "The machine froze.", harness.now))
    harness.serve()
    assert harness.launches == []
    ticket = harness.request("a")
    assert isinstance(harness.refused[ticket], ModelFailed)


def test_a_preloaded_model_that_fails_is_not_tried_again_without_a_request() -> None:
    harness = preloading(a_model("a", preload=True))
    harness.exit("a")
    harness.reclaim("a")
    harness.wait(100_000)
    assert harness.launches == ["a"]
    harness.request("a")
    assert harness.launches == ["a", "a"]


def test_a_preloaded_model_that_an_operator_unloads_stays_unloaded_until_it_is_requested() -> None:
    harness = preloading(a_model("a", preload=True))
    harness.become_healthy("a")
    harness.unload("a")
    harness.exit_and_reclaim("a")
    harness.wait(100_000)
    assert harness.launches == ["a"]
    harness.request("a")
    assert harness.launches == ["a", "a"]


def test_an_unload_waits_for_the_requests_that_use_the_model() -> None:
    harness = Harness((a_model("a"),))
    tickets = [harness.request("a"), harness.request("a")]
    harness.become_healthy("a")
    harness.unload("a")
    harness.leave(tickets[0])
    assert harness.state("a") is State.READY
    harness.leave(tickets[1])
    harness.apply(harness.scheduler.on_tick(harness.now))
    assert harness.process("a").terminated


def test_an_unload_ends_a_start_that_nobody_waits_for() -> None:
    harness = Harness((a_model("a"),))
    harness.leave(harness.request("a"))
    harness.unload("a")
    assert harness.process("a").terminated


def test_the_last_request_says_how_long_the_model_stays_loaded() -> None:
    harness = Harness((a_model("a", idle_timeout=1200.0),))
    for keep_alive, others in ((math.inf, 100_000.0), (60.0, 59.0)):
        ticket = harness.request("a", Claim(keep_alive=keep_alive))
        if harness.state("a") is not State.READY:
            harness.become_healthy("a")
        harness.leave(ticket)
        harness.wait(others)
        assert harness.state("a") is State.READY
    harness.wait(2)
    assert harness.process("a").terminated
    harness.exit_and_reclaim("a")
    ticket = harness.request("a")
    harness.become_healthy("a")
    harness.leave(ticket)
    harness.wait(1199)
    assert harness.state("a") is State.READY, "the next run is kept as the catalogue says"


def test_a_model_that_is_kept_alive_is_still_evicted_for_another_one() -> None:
    harness = Harness((a_model("a", 80), a_model("b", 80)))
    ticket = harness.request("a", Claim(keep_alive=math.inf))
    harness.become_healthy("a")
    harness.leave(ticket)
    harness.request("b")
    harness.wait(600)
    assert harness.process("a").terminated
