"""Everything in the catalogue that is not a model, as frozen types."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from sparkd.catalog.quantities import (
    GIB,
    MIB,
    Bytes,
    Count,
    Download,
    DrainTimeout,
    IdleTimeout,
    Location,
    MinResidency,
    Seconds,
    StartTimeout,
    StopGrace,
)

OnBusy = Literal["wait", "reject"]


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
    main_slots: Annotated[
        Count | None,
        Meta(
            description="Most normal models that are resident at once; 1: strictly one. Unset: as many as fit."
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
    download: Download = "refuse"


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
