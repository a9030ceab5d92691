"""SGLang: its command line, its environment, and what it logs while it loads or fails.

From SGLang 0.5.23. Log lines are matched loosely, because their format changes between versions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import ceil
from types import MappingProxyType
from typing import Final

from sparkd.catalog.definitions import Model
from sparkd.engines.causes import FILES, GENERIC, SEE_LOG, explain, sign
from sparkd.engines.engine import Cause, Command, Exit, Milestone, Surroundings, UnixAddress
from sparkd.engines.environment import caches, environment, files_on_disk
from sparkd.engines.flags import flags, option, share
from sparkd.engines.phases import milestone
from sparkd.engines.reserved import ADDRESS, CONTEXT, PLAIN, READABLE, SHARED, SOURCE, definition_problems
from sparkd.errors import LaunchError

RESERVED: Final[Mapping[str, str]] = MappingProxyType(
    {
        **SHARED,
        "fastapi-root-path": ADDRESS,
        "model-path": SOURCE,
        "context-length": CONTEXT,
        "admin-api-key": READABLE,
        "grpc-mode": PLAIN,
        "smg-grpc-mode": PLAIN,
    }
)
"""SGLang flags that a model's options must not set."""

PHASES: Final = (
    (re.compile(r"Load weight begin"), "loading weights"),
    (
        re.compile(r"(?:Loading .*checkpoint shards|Multi-thread loading shards):\s*(?P<percent>\d+)%"),
        "loading weights",
    ),
    (re.compile(r"Load weight end"), "weights loaded"),
    (re.compile(r"KV Cache is allocated|Memory pool end"), "KV cache allocated"),
    (re.compile(r"Capturing batches.*?(?P<percent>\d+)%|Capture .*graph"), "capturing CUDA graphs"),
    (re.compile(r"Uvicorn running on"), "warming up"),
    (re.compile(r"The server is fired up and ready to roll"), "up"),
)
"""Log lines of its start."""

SIGNS: Final = (
    sign(
        r"context_length \((?P<asked>\d+)\) is greater than the derived context_length \((?P<limit>\d+)\)",
        "context_too_long",
        "the context_length of {asked} is more than the model was made for ({limit}).",
        "Set context_length to {limit} or less.",
    ),
    sign(
        r"Not enough (?:GPU )?memory.*(?:increase --mem-fraction-static|state cache)",
        "out_of_memory",
        "the weights leave no memory for the KV cache.",
        "Raise the model's memory, or its option mem-fraction-static.",
    ),
    *FILES,
    *GENERIC,
    sign(
        r"Received sigquit from a child process",
        "engine_died",
        "a process of SGLang exited.",
        SEE_LOG,
    ),
)
"""Log lines that show why SGLang failed, by rank: a root cause before its consequences."""


class SglangEngine:
    """`python -m sglang.launch_server` of a model's runtime, on a loopback port."""

    name = "sglang"
    reserved_options = RESERVED
    parser: str | None = "sglang_serve"

    def problems(self, model: Model) -> list[str]:
        """Problems with the model's definition."""
        return list(definition_problems(model, self.name, RESERVED))

    def listens_on_socket(self, model: Model) -> bool:  # noqa: ARG002 - true of every model
        """False: it can listen only on ports."""
        return False

    def command(self, model: Model, surroundings: Surroundings) -> Command:
        """`python -m sglang.launch_server --model-path SOURCE …`. Raises LaunchError."""
        told = self.problems(model)
        if surroundings.program is None:
            told.append("its runtime is not built")
        address = surroundings.address
        if isinstance(address, UnixAddress):
            told.append("it cannot listen on a socket")
        if told or surroundings.program is None or model.source is None or isinstance(address, UnixAddress):
            raise LaunchError(f"model {model.id}: {'; '.join(told)}")
        argv = [str(surroundings.program / "python"), "-m", "sglang.launch_server"]
        argv += ["--model-path", model.source, "--served-model-name", model.id]
        if model.revision is not None:
            argv += ["--revision", model.revision]
        argv += ["--host", address.host, "--port", str(address.port)]
        if model.context_length is not None:
            argv += ["--context-length", str(model.context_length)]
        memory, total = surroundings.memory, surroundings.total
        if memory and total and option(model.options, "mem-fraction-static") is None:
            argv += ["--mem-fraction-static", share(memory, total)]
        argv += flags(model.options)
        own = files_on_disk(model, surroundings) | caches(surroundings)
        return Command(tuple(argv), environment(model, surroundings, own))

    def milestone(self, line: str) -> Milestone | None:
        """The step of loading that this line shows."""
        return milestone(line, PHASES)

    def explain(self, exit_: Exit, lines: Sequence[str]) -> Cause:
        """Why it ended."""
        return explain(exit_, lines, SIGNS)

    def footprint(self, model: Model, total: int) -> int | None:
        """The value of `mem-fraction-static` in bytes; None if it is not set."""
        fraction = option(model.options, "mem-fraction-static")
        return ceil(fraction * total) if isinstance(fraction, int | float) else None
