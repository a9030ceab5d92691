"""The requests of a week, by household: its models and its sessions. Every random choice follows a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from sparkd.scheduling.claim import PLAIN_CLAIM, Claim

HOUR = 3600.0
DAY = 24 * HOUR
DAYS = 7


@dataclass(frozen=True)
class SimulatedModel:
    """Memory in GiB, and the seconds that a load takes with nothing cached."""

    memory: float
    load: float
    lifecycle: Literal["normal", "utility"] = "normal"


@dataclass(frozen=True)
class Request:
    """A request that takes `service` seconds once its model is ready. The next one follows after `pause` seconds."""

    model: str
    service: float
    pause: float = 0.0
    claim: Claim = PLAIN_CLAIM


@dataclass(frozen=True)
class Session:
    """Requests of one client, one after the other, or `parallel` at once. `start` is in seconds of the week."""

    start: float
    kind: str
    requests: tuple[Request, ...]
    parallel: int = 1


@dataclass(frozen=True)
class Household:
    """`sessions` returns those of a week, for a random generator. `budget` is GiB for all models."""

    name: str
    models: dict[str, SimulatedModel]
    sessions: Callable[[Random], Iterator[Session]]
    budget: float = 113.7

    def week(self, seed: int) -> list[Session]:
        """The sessions of the week with that seed, in order."""
        return sorted(self.sessions(Random(seed)), key=lambda session: session.start)


MODELS = {
    "big": SimulatedModel(84, 240),
    "code": SimulatedModel(55, 167),
    "vision": SimulatedModel(40, 120),
    "embed": SimulatedModel(24, 45),
    "small": SimulatedModel(8, 40, "utility"),
}


def family(random: Random) -> Iterator[Session]:
    """Agents, chats with titles, voice, batches, images and search, all over the day."""
    for day in range(DAYS):

        def daytime(day: int = day) -> float:
            return day * DAY + 8 * HOUR + random.random() * 15 * HOUR

        for _ in range(4):
            yield Session(daytime(), "agent", tuple(_agent_requests(random, "code", 60)))
        for _ in range(20):
            start = daytime()
            yield Session(start, "chat", tuple(_chat_requests(random, "big", random.randint(4, 8))))
            yield Session(start + 40, "title", (Request("small", 1.5),))
        for _ in range(60):
            yield Session(daytime(), "voice", (Request("small", 1.0),))
        for _ in range(2):
            yield Session(daytime(), "batch", (Request("vision", 6.0),) * 150, parallel=4)
        for _ in range(6):
            yield Session(daytime(), "image", (Request("vision", random.uniform(4, 15)),))
        yield Session(day * DAY + 2 * HOUR, "night", (Request("embed", 0.5),) * 300, parallel=4)
        for _ in range(5):
            yield Session(daytime(), "search", (Request("embed", 0.3, 5.0),) * 6)


def office(random: Random) -> Iterator[Session]:
    """Twelve people with many short chats over three models during working hours, and titles for them."""
    for day in range(5):
        for _ in range(90):
            start = day * DAY + 9 * HOUR + random.random() * 8 * HOUR
            model = random.choices(("big", "code", "vision"), (2, 5, 3))[0]
            yield Session(start, f"chat {model}", tuple(_chat_requests(random, model, random.randint(1, 5))))
            yield Session(start + 20, "title", (Request("small", 1.5),))
        for _ in range(40):
            start = day * DAY + 9 * HOUR + random.random() * 8 * HOUR
            yield Session(start, "search", (Request("embed", 0.3, 5.0),) * 3)


def coder(random: Random) -> Iterator[Session]:
    """One person with one agent on one model. Its titles come from the utility model."""
    for day in range(DAYS):
        for hour in (9, 14, 20):
            start = day * DAY + (hour + random.random() * 2) * HOUR
            yield Session(start, "agent", tuple(_agent_requests(random, "code", random.randint(40, 120))))


def farm(random: Random) -> Iterator[Session]:
    """Batches of many parallel requests over four models, around the clock."""
    for _ in range(DAYS * 24):
        model = random.choice(("big", "code", "vision", "embed"))
        count = random.randint(100, 600)
        start = random.random() * DAYS * DAY
        yield Session(start, f"batch {model}", (Request(model, random.uniform(1, 6)),) * count, parallel=8)


def pair(random: Random) -> Iterator[Session]:
    """Twice a day, two agents work at once, on two models that do not fit together: their requests alternate."""
    for day in range(DAYS):
        for hour in (10, 16):
            start = day * DAY + (hour + random.random()) * HOUR
            for model in ("big", "code"):
                requests = tuple(
                    Request(model, random.uniform(6, 40), random.uniform(3, 30)) for _ in range(40)
                )
                yield Session(start + random.random() * 60, f"agent {model}", requests)


def _agent_requests(random: Random, model: str, count: int) -> Iterator[Request]:
    """An agent's steps. Every twelfth request is for the utility model."""
    for number in range(count):
        if number % 12 == 0:
            yield Request("small", 1.0, 0.5)
        else:
            yield Request(model, random.uniform(6, 40), random.uniform(3, 30))


def _chat_requests(random: Random, model: str, count: int) -> Iterator[Request]:
    for _ in range(count):
        yield Request(model, random.uniform(5, 30), random.uniform(20, 180))


HOUSEHOLDS = (
    Household("family", MODELS, family),
    Household("office", MODELS, office),
    Household("coder", MODELS, coder),
    Household("farm", MODELS, farm),
    Household("pair", MODELS, pair),
)
