"""What the catalogue says, as frozen types. The TOML keys, the JSON Schema and docs/configuration.md follow from here.

Sizes are bytes and may be written "20 GiB" in TOML; durations are float seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

GIB = 1024**3
MIB = 1024**2

LARGEST_SIZE = 2**60
"""1 EiB: no machine has more, and sums of sizes stay below the 64 bits of SQLite's integers."""

LONGEST_DURATION = 1e9
"""Seconds, 31 years: any longer and an event loop's timer overflows."""

Bytes = Annotated[int, Meta(ge=0, le=LARGEST_SIZE, extra={"unit": "bytes"})]
Seconds = Annotated[float, Meta(ge=0.0, le=LONGEST_DURATION, extra={"unit": "seconds"})]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Location = Annotated[str, Meta(extra={"unit": "path"})]
Source = Annotated[str, Meta(extra={"unit": "source"})]
Scalar = str | int | float | bool

EngineName = Literal["vllm", "command"]
Lifecycle = Literal["normal", "utility", "exclusive"]
OnBusy = Literal["wait", "reject"]

NOT_KEYS = frozenset({"id", "name", "folder"})
"""Fields that the place of a definition gives (its table's name, its folder), so that no key does."""

PLACEHOLDERS = ("host", "port", "socket", "source", "model", "context_length")
"""What `{…}` in a `command` may name."""

IdleTimeout = Annotated[
    Seconds,
    Meta(
        description="A model unused for this long is stopped, counted from the end of its last request; 0: never."
    ),
]
StartTimeout = Annotated[
    Seconds, Meta(description="A model not ready this long after its launch has failed.")
]
StopGrace = Annotated[Seconds, Meta(description="Time between SIGTERM and SIGKILL.")]
DrainTimeout = Annotated[
    Seconds,
    Meta(description="Longest time an evicted model may go on answering what it has begun."),
]
MinResidency = Annotated[
    Seconds,
    Meta(
        description="A ready model is not evicted for another before this, or before its own load time "
        "if longer and it is busy."
    ),
]


class Server(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[server]`: the door clients come through."""

    listen: Annotated[
        str,
        Meta(
            description="`host:port` clients connect to; an IPv6 host stands in brackets, port 0 takes a free one. "
            "Ignored when systemd passes a socket."
        ),
    ] = "127.0.0.1:8009"
    max_body: Annotated[Bytes, Meta(description="Largest request body; a larger one is answered 413.")] = (
        64 * MIB
    )
    api_key_file: Annotated[
        Location | None,
        Meta(
            description="File with one API key per line, `name: key` or just the key. Unset: anyone may ask."
        ),
    ] = None


class Queue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[queue]`: what happens to a request whose model is not ready."""

    on_busy: Annotated[
        OnBusy,
        Meta(description='"wait" in line, or "reject" with 429 when another model is in use.'),
    ] = "wait"
    max_wait: Annotated[Seconds, Meta(description="Longest time a request waits for its model.")] = 900.0
    max_length: Annotated[Count, Meta(description="Most requests that wait at once; more get 429.")] = 1024


class Memory(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[memory]`: budget = total - reserve."""

    total: Annotated[
        Bytes | None, Meta(description="Memory of the machine. Unset: what the machine says.")
    ] = None
    reserve: Annotated[Bytes, Meta(description="Kept free for the system; no model may use it.")] = 8 * GIB
    floor: Annotated[
        Bytes | None,
        Meta(
            description="With less than this available a model is ended at once, the starting one first. Unset: "
            "5 GiB, on machines of less than 80 GiB a sixteenth of the memory."
        ),
    ] = None
    learn: Annotated[
        bool,
        Meta(
            description="Whether a model's footprint is what its last runs have shown, once there were any. False: "
            "what is declared stands."
        ),
    ] = True
    reclaim_timeout: Annotated[
        Seconds,
        Meta(
            description="Longest time the memory of a process that has ended is waited for; what is missing then "
            "counts as leaked until the machine is booted again."
        ),
    ] = 90.0
    drop_caches: Annotated[
        bool,
        Meta(
            description="Whether the whole page cache may be dropped before a load that it is in the way of; needs "
            "root. False: only weight files of models that are not running."
        ),
    ] = False


class Failures(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[failures]`: what happens to a model whose process fails."""

    backoff: Annotated[
        Seconds, Meta(description="Pause after the first failure; doubles with each further one.")
    ] = 5.0
    backoff_max: Annotated[Seconds, Meta(description="Longest pause; at least `backoff`.")] = 300.0
    max_failures: Annotated[
        Count,
        Meta(
            description="Failures in a row after which the model is quarantined until an operator retries it."
        ),
    ] = 5
    liveness: Annotated[
        Seconds,
        Meta(
            description="Time between two looks at whether an engine in use gets anywhere; one that stands still for "
            "three in a row has failed. 0: it is not looked at."
        ),
    ] = 15.0


class Defaults(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[defaults]`: what a model has where it says nothing itself."""

    idle_timeout: IdleTimeout = 1200.0
    start_timeout: StartTimeout = 900.0
    stop_grace: StopGrace = 10.0
    drain_timeout: DrainTimeout = 300.0
    min_residency: MinResidency = 30.0


class Paths(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[paths]`: folders. Relative ones are relative to the file that names them."""

    models: Annotated[Location, Meta(description="Model files.")] = "models"
    state: Annotated[Location, Meta(description="Logs and what sparkd learns.")] = "state"
    run: Annotated[Location, Meta(description="Sockets and private folders of running engines.")] = "run"
    venvs: Annotated[Location, Meta(description="Definitions of runtimes, one folder each.")] = "venvs"
    runtimes: Annotated[Location, Meta(description="Built runtimes.")] = "runtimes"


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything in the catalogue that is not a model. In one that was read, paths are absolute."""

    server: Server = Server()
    queue: Queue = Queue()
    memory: Memory = Memory()
    failures: Failures = Failures()
    defaults: Defaults = Defaults()
    paths: Paths = Paths()


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[models.<id>]`: one model a client can name. The id is the table's name."""

    id: str
    aliases: Annotated[tuple[str, ...], Meta(description="Other names clients may use.")] = ()
    description: Annotated[str, Meta(description="One line for people.")] = ""
    engine: Annotated[EngineName, Meta(description="Kind of server program.")] = "vllm"
    runtime: Annotated[
        str | None,
        Meta(
            description='Virtualenv the engine runs in: a folder of `paths.venvs`. Engine "vllm" needs one.'
        ),
    ] = None
    source: Annotated[
        Source | None,
        Meta(
            description="Hugging Face repository `org/name`, or a folder (absolute, or starting with `./` and "
            'relative to the file that names it). Engine "vllm" needs one.'
        ),
    ] = None
    context_length: Annotated[
        Count | None,
        Meta(description="Most tokens of prompt and answer together. Unset: what the model itself says."),
    ] = None
    memory: Annotated[
        Bytes | None,
        Meta(
            description="Footprint of a first start, and what the engine is told it may take. Unset: what the "
            "engine's flags imply, else the whole budget."
        ),
    ] = None
    kv_cache: Annotated[
        Bytes | None,
        Meta(
            description='Size of the KV cache, for engine "vllm". Unset: what `memory` leaves beside the weights.'
        ),
    ] = None
    lifecycle: Annotated[
        Lifecycle,
        Meta(
            description='"normal"; "utility" lives beside the main model and is never evicted by it, at most one '
            'enabled model has it; "exclusive" needs an empty machine.'
        ),
    ] = "normal"
    pinned: Annotated[
        bool, Meta(description="Once ready, never stopped for idleness nor for another model.")
    ] = False
    enabled: Annotated[bool, Meta(description="False: listed nowhere and refused.")] = True
    disabled_reason: Annotated[
        str,
        Meta(
            description="Why, when not enabled; told to whoever asks for it. Needed when `enabled` is false."
        ),
    ] = ""
    options: Annotated[
        Mapping[str, Scalar | tuple[Scalar, ...]],
        Meta(
            description="Flags of the engine without their dashes: true gives the bare flag, false `--no-` and the "
            "flag, a list repeats its values."
        ),
    ] = {}
    environment: Annotated[Mapping[str, str], Meta(description="Environment variables of the engine.")] = {}
    command: Annotated[
        tuple[str, ...],
        Meta(
            description='For engine "command": program and arguments. {source}, {model}, {context_length}, and '
            "{host} and {port}, or {socket}, where it shall listen, are filled in, here and in `environment`."
        ),
    ] = ()
    health: Annotated[str, Meta(description="Path that answers 200 once the engine is ready.")] = "/health"
    idle_timeout: IdleTimeout
    start_timeout: StartTimeout
    stop_grace: StopGrace
    drain_timeout: DrainTimeout
    min_residency: MinResidency


class Runtime(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`<paths.venvs>/<name>/runtime.toml`: a pinned virtualenv. The name is the folder's."""

    name: str
    folder: Path
    description: Annotated[str, Meta(description="One line for people.")] = ""
    python: Annotated[str, Meta(description="Versions of Python that will do, as a version specifier.")] = (
        ">=3.11"
    )
    requirements: Annotated[str, Meta(description="Locked requirements, a file in the same folder.")] = (
        "requirements.lock"
    )
    disk: Annotated[
        Bytes, Meta(description="Space a build takes at its fullest; it is not begun with less.")
    ] = 0
    torch_backend: Annotated[
        str | None,
        Meta(
            description="Build of PyTorch (`cpu`, `cu130`, …) where no find-links folder has the pinned one."
        ),
    ] = None
    find_links: Annotated[
        tuple[str, ...], Meta(description="Folders with wheels, besides those in PIP_FIND_LINKS.")
    ] = ()
    provides: Annotated[
        Mapping[str, str],
        Meta(
            description="Distributions to stand in for by name and version, for programs that look themselves up "
            "under another name."
        ),
    ] = {}
    environment: Annotated[
        Mapping[str, str], Meta(description="Environment variables of every engine of this runtime.")
    ] = {}
    imports: Annotated[tuple[str, ...], Meta(description="Modules that must import after the build.")] = ()
    versions: Annotated[
        Mapping[str, str], Meta(description="Distributions and the versions they must have after the build.")
    ] = {}
    smoke: Annotated[
        tuple[tuple[str, ...], ...],
        Meta(
            description="Commands that must succeed after the build; their program is looked up in the virtualenv."
        ),
    ] = ()
