"""A household whose requests have priorities: a voice assistant, agents, and translations that may wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from benchmarks.week.households import DAY, DAYS, HOUR, Household, Request, Session, SimulatedModel
from sparkd.catalog.priority import Priority
from sparkd.scheduling.claim import Claim

MODELS = {
    "voice": SimulatedModel(30, 60),
    "code": SimulatedModel(55, 167),
    "translate": SimulatedModel(90, 240),
}

PRIORITIES: dict[str, Priority] = {"voice": "high", "code": "normal", "translate": "low"}


def household(priority_of: Callable[[str], Priority]) -> Household:
    """The household. `priority_of` is asked for the priority of each model's requests."""

    def request(model: str, service: float, pause: float = 0.0) -> Request:
        return Request(model, service, pause, Claim(priority=priority_of(model)))

    def sessions(random: Random) -> Iterator[Session]:
        for day in range(DAYS):

            def daytime(day: int = day) -> float:
                return day * DAY + 8 * HOUR + random.random() * 15 * HOUR

            for _ in range(25):
                asked = tuple(
                    request("voice", 1.5, random.uniform(4, 20)) for _ in range(random.randint(1, 3))
                )
                yield Session(daytime(), "voice", asked)
            for _ in range(3):
                steps = tuple(
                    request("code", random.uniform(6, 40), random.uniform(3, 30)) for _ in range(60)
                )
                yield Session(daytime(), "agent", steps)
            for _ in range(4):
                yield Session(daytime(), "batch", (request("translate", 6.0),) * 400, parallel=8)

    return Household("priorities", MODELS, sessions)


WITH_PRIORITIES = household(PRIORITIES.__getitem__)
WITHOUT_PRIORITIES = household(lambda _: "normal")
