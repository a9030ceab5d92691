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
from sparkd.engines.causes import COMMON_FAILURES, MODEL_FILE_FAILURES, SEE_LOG, FailurePattern, explain_exit
from sparkd.engines.engine import (
    ENGINE,
    Cause,
    Command,
    Exit,
    HealthErrors,
    LaunchContext,
    Milestone,
    UnixAddress,
    WarmStart,
)
from sparkd.engines.environment import build_environment, cache_variables, model_file_variables
from sparkd.engines.flags import find_option, format_flags, memory_fraction
from sparkd.engines.phases import parse_milestone
from sparkd.engines.reserved import (
    ADDRESS_REASON,
    COMMON_RESERVED_FLAGS,
    CONTEXT_REASON,
    PLAIN_REASON,
    READABLE_REASON,
    SOURCE_REASON,
    find_definition_problems,
)
from sparkd.errors import LaunchError

RESERVED_FLAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **COMMON_RESERVED_FLAGS,
        "fastapi-root-path": ADDRESS_REASON,
        "model-path": SOURCE_REASON,
        "context-length": CONTEXT_REASON,
        "admin-api-key": READABLE_REASON,
        "grpc-mode": PLAIN_REASON,
        "smg-grpc-mode": PLAIN_REASON,
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

VITAL_PROCESSES: Final = {
    "sglang::schedul": "SGLang's scheduler",  # sglang::scheduler_TP0
    "sglang::detoken": "SGLang's detokenizer",
    "sglang::data_pa": "SGLang's data parallel controller",
}
"""Names of its processes, as long as the kernel keeps them."""

FAILURE_PATTERNS: Final = (
    FailurePattern(
        r"context_length \((?P<asked>\d+)\) is greater than the derived context_length \((?P<limit>\d+)\)",
        "context_too_long",
        "the context_length of {asked} is more than the model was made for ({limit}).",
        "Set context_length to {limit} or less.",
    ),
    FailurePattern(
        r"Not enough (?:GPU )?memory.*(?:increase --mem-fraction-static|state cache)",
        "out_of_memory",
        "the weights leave no memory for the KV cache.",
        "Raise the model's memory, or its option mem-fraction-static.",
    ),
    *MODEL_FILE_FAILURES,
    *COMMON_FAILURES,
    FailurePattern(
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
    reserved_options = RESERVED_FLAGS
    # 503 until its warmup is done, and later if it is too busy to generate a token.
    health_errors = HealthErrors(timeout=5.0, inconclusive=frozenset({503}))
    parser: str | None = "sglang_serve"
    warm_start: WarmStart | None = None
    first_milestone: Milestone | None = None

    def find_warm_obstacle(self, model: Model, environment: Mapping[str, str]) -> str | None:  # noqa: ARG002
        """Always an obstacle."""
        return "SGLang has not been shown to start warm"

    def find_problems(self, model: Model) -> list[str]:
        """Problems with the model's definition."""
        return list(find_definition_problems(model, self.name, RESERVED_FLAGS))

    def listens_on_socket(self, model: Model) -> bool:  # noqa: ARG002 - true of every model
        """False: it can listen only on ports."""
        return False

    def build_command(self, model: Model, context: LaunchContext) -> Command:
        """`python -m sglang.launch_server --model-path SOURCE …`. Raises LaunchError."""
        problems = self.find_problems(model)
        if context.program is None:
            problems.append("its runtime is not built")
        address = context.address
        if isinstance(address, UnixAddress):
            problems.append("it cannot listen on a socket")
        if problems or context.program is None or model.source is None or isinstance(address, UnixAddress):
            raise LaunchError(f"model {model.id}: {'; '.join(problems)}")
        argv = [str(context.program / "python"), "-m", "sglang.launch_server"]
        argv += ["--model-path", model.source, "--served-model-name", model.id]
        if model.revision is not None:
            argv += ["--revision", model.revision]
        argv += ["--host", address.host, "--port", str(address.port)]
        if model.context_length is not None:
            argv += ["--context-length", str(model.context_length)]
        memory, total = context.memory, context.total
        if memory and total and find_option(model.options, "mem-fraction-static") is None:
            argv += ["--mem-fraction-static", memory_fraction(memory, total)]
        argv += format_flags(model.options)
        own = model_file_variables(model, context) | cache_variables(context)
        return Command(tuple(argv), build_environment(model, context, own))

    def parse_milestone(self, line: str) -> Milestone | None:
        """The step of loading that this line shows."""
        return parse_milestone(line, PHASES)

    def name_vital_process(self, name: str) -> str | None:
        """Its schedulers, which hold the model, and its detokenizer."""
        return VITAL_PROCESSES.get(name)

    def explain_exit(self, exit_: Exit, lines: Sequence[str], process: str = ENGINE) -> Cause:
        """Why it ended."""
        return explain_exit(exit_, lines, FAILURE_PATTERNS, process)

    def implied_footprint(self, model: Model, total: int) -> int | None:
        """The value of `mem-fraction-static` in bytes; None if it is not set."""
        fraction = find_option(model.options, "mem-fraction-static")
        return ceil(fraction * total) if isinstance(fraction, int | float) else None
