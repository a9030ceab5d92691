"""vLLM: its command line, its environment, and what it logs while it loads or fails.

Checked against vLLM 0.32 and 0.33. Log lines are matched loosely, because their format changes between versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from types import MappingProxyType
from typing import Final

from sparkd.catalog.definitions import Model
from sparkd.catalog.quantities import GIB
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
    find_definition_problems,
)
from sparkd.engines.vllm_warm import MAX_STOP_STRINGS, WARM_START, find_warm_obstacle
from sparkd.errors import LaunchError

_METRICS_REASON: Final = "sparkd needs the engine's metrics to see that it makes progress"

RESERVED_FLAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **COMMON_RESERVED_FLAGS,
        "uds": ADDRESS_REASON,
        "root-path": ADDRESS_REASON,
        "max-model-len": CONTEXT_REASON,
        "hf-token": f"{READABLE_REASON}; only `sparkctl pull` needs a token; vLLM finds the model on disk",
        "grpc": PLAIN_REASON,
        "headless": PLAIN_REASON,
        "disable-log-stats": _METRICS_REASON,
        "allowed-media-domains": "they are the model's media_domains",
    }
)
"""vLLM flags that a model's options must not set."""

NO_DOMAIN: Final = "none.invalid"
"""A domain that never exists (RFC 2606): vLLM takes an empty list of domains for all of them."""

PHASES: Final = (
    (re.compile(r"Resolved architecture:"), "reading the model's configuration"),
    (re.compile(r"Initializing a V\d+ LLM engine"), "starting the engine core"),
    (re.compile(r"Fetching \d+ files:\s*(?P<percent>\d+)%"), "downloading"),
    (re.compile(r"Starting to load model"), "loading weights"),
    (re.compile(r"Loading .*checkpoint shards:\s*(?P<percent>\d+)%"), "loading weights"),
    (re.compile(r"Loading weights took|Model loading took"), "weights loaded"),
    (re.compile(r"torch\.compile took"), "compiled"),
    (re.compile(r"KV cache size:"), "KV cache allocated"),
    (re.compile(r"Capturing CUDA graphs.*?(?P<percent>\d+)%|Capturing CUDA graphs"), "capturing CUDA graphs"),
    (re.compile(r"init engine \(.*took"), "warmed up"),
    (re.compile(r"Starting vLLM server on"), "opening the server"),
    (re.compile(r"Application startup complete"), "up"),
)
"""Log lines of its start."""

VITAL_PROCESSES: Final = (
    (re.compile(r"::EngineCor"), "vLLM's engine core"),  # VLLM::EngineCore, VLLM::EngineCore_DP0
    (re.compile(r"::Worker"), "vLLM's worker"),  # VLLM::Worker, VLLM::Worker_TP0
)
"""Names of its processes. VLLM_PROCESS_NAME_PREFIX may change what is before the colons."""

_LOWER_UTILIZATION: Final = "Lower gpu-memory-utilization, or stop other programs that use memory."

FAILURE_PATTERNS: Final = (
    FailurePattern(
        r"unrecognized arguments: (?P<flags>.+)",
        "bad_option",
        "this vLLM does not know {flags}.",
        "Correct the model's options: `vllm serve --help=all` lists them.",
    ),
    FailurePattern(
        r"error: argument (?P<flag>\S+?)(?:/\S+)?: (?P<why>.+)",
        "bad_option",
        "vLLM does not accept the value of {flag}: {why}.",
        "Correct the model's options.",
    ),
    FailurePattern(
        r"User-specified max_model_len \((?P<asked>\d+)\) is greater than the derived max_model_len "
        r"\((?:[\w.]+=)?(?P<limit>\d+)",
        "context_too_long",
        "the context_length of {asked} is more than the model was made for ({limit}).",
        "Set context_length to {limit} or less.",
    ),
    FailurePattern(
        r"max seq len \((?P<asked>\d+)\).*?estimated maximum model length is (?P<limit>\d+)",
        "context_too_long",
        "the memory left for the KV cache does not hold one request of {asked} tokens.",
        "Set context_length to {limit} or less.",
    ),
    FailurePattern(
        r"To serve at least one request with the model's max seq len \((?P<asked>\d+)\)",
        "context_too_long",
        "the memory left for the KV cache does not hold one request of {asked} tokens.",
        "Lower context_length, or raise gpu-memory-utilization or kv-cache-memory-bytes.",
    ),
    FailurePattern(
        r"No available memory for the cache blocks",
        "out_of_memory",
        "the weights leave no memory for the KV cache.",
        "Raise gpu-memory-utilization, or set kv-cache-memory-bytes.",
    ),
    FailurePattern(
        r"(?:Free|Available) memory on (?:device|node) \S+\s+\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup is "
        r"less than desired \w+ memory utilization \((?P<fraction>[\d.]+), (?P<wanted>[\d.]+) GiB\)",
        "out_of_memory",
        "vLLM needs {wanted} GiB ({fraction} of {total} GiB), but only {free} GiB are free.",
        _LOWER_UTILIZATION,
    ),
    FailurePattern(
        r"(?:Free|Available) memory on (?:device|node) .*less than desired",
        "out_of_memory",
        "less memory is free than vLLM needs.",
        _LOWER_UTILIZATION,
    ),
    *MODEL_FILE_FAILURES,
    *COMMON_FAILURES,
    FailurePattern(
        r"PicklingError: (?P<why>.+)",
        "unknown",
        "vLLM could not pass work to its own processes: {why}.",
        "This is a bug in this version or in a plugin. Try another runtime.",
    ),
    FailurePattern(
        r"Engine core (?:process|proc) \S+ died|EngineDeadError|Worker proc \S+ died unexpectedly",
        "engine_died",
        "vLLM's engine core exited.",
        SEE_LOG,
    ),
)
"""Log lines that show why vLLM failed, by rank: a root cause before its consequences."""


class VllmEngine:
    """`vllm serve` of a model's runtime, on a Unix socket."""

    name = "vllm"
    reserved_options = RESERVED_FLAGS
    # It listens only when it is ready, and its health path answers 503 only once its engine core is dead.
    health_errors = HealthErrors(timeout=5.0)
    parser: str | None = "vllm_serve"
    warm_start: WarmStart | None = WARM_START
    first_milestone: Milestone | None = Milestone("importing modules")

    def find_warm_obstacle(self, model: Model, environment: Mapping[str, str]) -> str | None:
        """Options that need processes which are not forked."""
        return find_warm_obstacle(model, environment)

    def find_problems(self, model: Model) -> list[str]:
        """Problems with the model's definition."""
        return list(find_definition_problems(model, self.name, RESERVED_FLAGS))

    def listens_on_socket(self, model: Model) -> bool:  # noqa: ARG002 - true of every model
        """True for every model."""
        return True

    def build_command(self, model: Model, context: LaunchContext) -> Command:
        """`vllm serve SOURCE …`. Raises LaunchError."""
        problems = self.find_problems(model)
        if context.program is None:
            problems.append("its runtime is not built")
        if problems or context.program is None or model.source is None:
            raise LaunchError(f"model {model.id}: {'; '.join(problems)}")
        argv = [str(context.program / "vllm"), "serve", model.source, "--served-model-name", model.id]
        address = context.address
        if isinstance(address, UnixAddress):
            argv += ["--uds", address.path]
        else:
            argv += ["--host", address.host, "--port", str(address.port)]
        if model.context_length is not None:
            argv += ["--max-model-len", str(model.context_length)]
        argv += _memory_flags(model, context)
        argv += _media_flags(model)
        if model.revision is not None:
            argv += ["--revision", model.revision]
        argv += format_flags(model.options)
        return Command(tuple(argv), build_environment(model, context, _vllm_variables(model, context)))

    def parse_milestone(self, line: str) -> Milestone | None:
        """The step of loading that this line shows."""
        return parse_milestone(line, PHASES)

    def name_vital_process(self, name: str) -> str | None:
        """Its engine cores and workers."""
        return next((vital for pattern, vital in VITAL_PROCESSES if pattern.search(name)), None)

    def explain_exit(self, exit_: Exit, lines: Sequence[str], process: str = ENGINE) -> Cause:
        """Why it ended."""
        return explain_exit(exit_, lines, FAILURE_PATTERNS, process)

    def implied_footprint(self, model: Model, total: int) -> int | None:
        """`gpu-memory-utilization` in bytes, plus `cpu-offload-gb`; None if it is not set.

        vLLM's default of 0.92 does not depend on the model. With `kv-cache-memory-bytes`, no flag has the size of the
        rest, above all the weights. Both cases use what the catalogue declares and sparkd measures.
        """
        fraction = find_option(model.options, "gpu-memory-utilization")
        fixed = find_option(model.options, "kv-cache-memory-bytes")
        offloaded = find_option(model.options, "cpu-offload-gb") or 0
        if (
            fixed is not None
            or model.kv_cache is not None
            or not isinstance(fraction, int | float)
            or not isinstance(offloaded, int | float)
        ):
            return None
        return ceil(fraction * total + offloaded * GIB)


def _memory_flags(model: Model, context: LaunchContext) -> Iterator[str]:
    """vLLM's flags for the memory that the model may use, unless its options set them.

    At its start, vLLM compares its share with the free memory, even with a fixed KV cache size. So it always gets a
    share that matches the scheduler's budget.
    """
    if model.kv_cache is not None and find_option(model.options, "kv-cache-memory-bytes") is None:
        yield from ("--kv-cache-memory-bytes", str(model.kv_cache))
    memory, total = context.memory, context.total
    if memory and total and find_option(model.options, "gpu-memory-utilization") is None:
        yield from ("--gpu-memory-utilization", memory_fraction(memory, total))


def _media_flags(model: Model) -> Iterator[str]:
    """Domains from which the engine may fetch media. Without the flag, it fetches from any."""
    if model.media_domains or model.vision:
        yield from ("--allowed-media-domains", *(model.media_domains or (NO_DOMAIN,)))


def _vllm_variables(model: Model, context: LaunchContext) -> dict[str, str]:
    """Environment variables of vLLM and its libraries."""
    shared = cache_variables(context)
    return {
        **model_file_variables(model, context),
        **shared,
        "VLLM_CACHE_ROOT": f"{shared['HOME']}/vllm",
        "VLLM_CONFIG_ROOT": f"{shared['XDG_CONFIG_HOME']}/vllm",
        # The default of 600 s is too short for a first start; sparkd has its own deadline for the start.
        "VLLM_ENGINE_READY_TIMEOUT_S": "3600",
        # The default of 5 s would close our idle connections between two requests of a user.
        "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "3600",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_MAX_STOP_STRINGS": MAX_STOP_STRINGS,
        # A redirect could lead from an allowed domain to any other.
        "VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0",
    }
