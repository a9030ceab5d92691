"""The simulated weeks of benchmarks/week: what sparkd's policy promises a household."""

from __future__ import annotations

from statistics import mean

import pytest

from benchmarks.week.contestants import Ollama, Sparkd
from benchmarks.week.households import HOUSEHOLDS
from benchmarks.week.simulation import Simulation, Waits


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
