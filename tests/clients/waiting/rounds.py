"""The rounds of all libraries: one for each style of heartbeats, and one for each way in which a wait can end badly."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sparkd.machine.meminfo import read_meminfo
from tests.clients.waiting.clock import LOAD, SECOND
from tests.clients.waiting.libraries.prompts import TEXT
from tests.clients.waiting.programs import NEVER, Outcomes, Program, running_programs
from tests.clients.waiting.raw import RawStream
from tests.clients.waiting.results import PROMPTS, STYLES, Matrix
from tests.clients.waiting.world import World

APIS: Final = ("chat", "completions", "messages", "responses")
LONG: Final = "Count me exactly. " * 420
"""More tokens than the context by the engine's count; the estimate cannot decide."""

NO_RETRIES: Final = {"backoff": 600.0, "backoff_max": 600.0}
"""A failed model is not started again."""

SHORT_WAIT: Final = 100 * SECOND
"""How long clients wait for what fails: several heartbeats, and less than any timeout."""


@contextmanager
def open_world() -> Iterator[World]:
    # Short paths, because they contain Unix sockets.
    with tempfile.TemporaryDirectory(prefix="waiting-") as folder:
        yield World(Path(folder))


def run_styles(programs: list[Program] | None = None) -> Matrix:
    """Have all clients wait for a load of 400 simulated seconds, once with each style of heartbeats."""
    if programs is None:
        with tempfile.TemporaryDirectory() as folder, running_programs(Path(folder)) as programs:
            return run_styles(programs)
    matrix = Matrix()
    with open_world() as world:
        models = {style: world.model(style, heartbeat=style) for style in STYLES}
        with world.running(models):
            for style in STYLES:
                raw = tuple(map(RawStream, APIS))
                matrix.add_outcomes(style, world.run_round(programs, style, PROMPTS, raw=raw, load=LOAD))
                matrix.add_streams(style, raw)
    return matrix


@dataclass
class Failure:
    """What the libraries got, and the bytes of each API, when a wait ended with an error."""

    outcomes: dict[str, Outcomes]
    streams: dict[str, RawStream]


def run_failures(programs: list[Program]) -> dict[str, Failure]:
    """Have all clients wait for what fails: before the first heartbeat, after it, and by the engine's token count."""
    with open_world() as world:
        models = {
            "fails-late": world.model("fails-late", at_gate="fail"),
            "too-long": world.model("too-long"),
        }
        with world.running(models, failures=NO_RETRIES):
            late = _run_failure(world, programs, "fails-late", TEXT)
            too_long = _run_failure(world, programs, "too-long", LONG)
    with open_world() as world:
        models = {"fails-early": world.model("fails-early", at_gate="fail")}
        with world.running(models, failures=NO_RETRIES, heartbeat={"after": 600.0}):
            early = _run_failure(world, programs, "fails-early", TEXT)
    return {"fails-late": late, "too-long": too_long, "fails-early": early}


def run_guard_kill(programs: list[Program]) -> Failure:
    """Have all clients wait for a model that the memory guard kills."""
    with open_world() as world:
        # A floor that the start reaches soon, so that no test has to fill the machine.
        memory = {"total": "10 GiB", "reserve": 0, "learn": False, "floor": read_meminfo().available // 8 * 7}
        models = {"killed": world.model("killed", at_gate="hoard", memory="16 MiB")}
        with world.running(models, memory=memory, failures=NO_RETRIES):
            return _run_failure(world, programs, "killed", TEXT)


def _run_failure(world: World, programs: list[Program], model: str, prompt: str) -> Failure:
    raw = tuple(RawStream(api, prompt) for api in APIS)
    outcomes = world.run_round(programs, model, [prompt], raw=raw, load=SHORT_WAIT, timeouts=NEVER)
    return Failure(outcomes, {stream.api: stream for stream in raw})
