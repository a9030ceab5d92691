"""The simulated weeks of benchmarks/week: what sparkd's policy promises a household."""

from __future__ import annotations

from statistics import mean

import pytest

from benchmarks.week.contestants import Ollama, Sparkd
from benchmarks.week.households import HOUSEHOLDS, Household
from benchmarks.week.priorities import WITH_PRIORITIES, WITHOUT_PRIORITIES, household
from benchmarks.week.simulation import Simulation, Waits
from sparkd.catalog.priority import Priority


def run_week(household: str, load_factor: float, rules: type[Sparkd | Ollama] = Sparkd) -> Waits:
    """A week with the first seed."""
    simulation = Simulation(next(each for each in HOUSEHOLDS if each.name == household), 1, load_factor)
    return simulation.run(rules(simulation))


def test_a_family_waits_less_than_35_hours_in_a_week_of_cold_loads() -> None:
    week = run_week("family", 1.0)
    waits = week.all()
    assert sum(waits) < 35 * 3600
    assert waits[int(len(waits) * 0.95)] <= 60.0
    assert mean(week.by_kind["voice"]) <= 1.0
    assert mean(week.by_kind["title"]) <= 1.0
    assert week.refusals == 0


@pytest.mark.parametrize("household", ["family", "office", "coder", "farm", "pair"])
def test_with_ollamas_rules_requests_wait_longer(household: str) -> None:
    assert sum(run_week(household, 1.0).all()) < sum(run_week(household, 1.0, Ollama).all())


@pytest.mark.parametrize("household", ["family", "office", "coder", "farm", "pair"])
@pytest.mark.parametrize("load_factor", [1.0, 0.25])
def test_no_request_waits_for_max_wait(household: str, load_factor: float) -> None:
    assert run_week(household, load_factor).refusals == 0


@pytest.mark.parametrize("priority", ["high", "low"])
def test_one_priority_for_all_requests_changes_nothing(priority: Priority) -> None:
    assert run(household(lambda _: priority), 1.0) == run(WITHOUT_PRIORITIES, 1.0)


@pytest.mark.parametrize("load_factor", [1.0, 0.25])
def test_with_priorities_the_voice_assistant_waits_less_and_nobody_too_long(load_factor: float) -> None:
    plain, ranked = run(WITHOUT_PRIORITIES, load_factor), run(WITH_PRIORITIES, load_factor)
    print(load_factor, describe(plain), describe(ranked), sep="\n")
    assert max(ranked.by_kind["voice"]) < 0.6 * max(plain.by_kind["voice"])
    assert mean(ranked.by_kind["voice"]) < mean(plain.by_kind["voice"])
    assert ranked.refusals == plain.refusals == 0


def run(simulated: Household, load_factor: float) -> Waits:
    """A week of this household with sparkd's rules."""
    simulation = Simulation(simulated, 1, load_factor)
    return simulation.run(Sparkd(simulation))


def describe(week: Waits) -> str:
    """The mean and the longest wait of each kind of session, in seconds."""
    kinds = (f"{kind} {mean(waits):.1f}, {max(waits):.0f}" for kind, waits in sorted(week.by_kind.items()))
    return f"{week.loads} loads: {'; '.join(kinds)}"
