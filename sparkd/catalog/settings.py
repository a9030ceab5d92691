"""Everything in the catalogue that is not a model, as frozen types."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from sparkd.catalog.heartbeat import Heartbeat
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
Probes = Literal["serve", "reject"]
Background = Literal["reroute", "wait", "serve"]


class Server(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[server]`: where sparkd listens, and which clients may send requests."""

    listen: Annotated[
        str | tuple[str, ...],
        Meta(
            description="`host:port` that clients connect to, or a list of these. `localhost` is both loopback "
            "addresses, 127.0.0.1 and ::1. Put an IPv6 host in brackets; port 0 selects a free port. Ignored when "
            "systemd passes a socket."
        ),
    ] = "localhost:8009"
    ollama_listen: Annotated[
        str | tuple[str, ...],
        Meta(
            description="Further addresses, as in `listen`, for programs that look for Ollama at its own port, such as "
            '"localhost:11434". Everything is served at each of them. Unset: none. Ignored when systemd passes a '
            "socket; enable `sparkd-ollama.socket` instead."
        ),
    ] = ()
    max_body: Annotated[Bytes, Meta(description="Largest request body; larger ones get 413.")] = 64 * MIB
    api_key_file: Annotated[
        Location | None,
        Meta(
            description="File with one API key per line, as `name: key` or just the key. Unset: no key is needed, "
            "and `hosts` and `origins` limit which requests are served."
        ),
    ] = None
    default_model: Annotated[
        str | None,
        Meta(
            description="The model, by id or alias, or a choice, for requests whose body names a model that does not "
            "exist, or none. Unset: such requests are rejected."
        ),
    ] = None
    echo_model: Annotated[
        bool,
        Meta(
            description="Whether a response names the model as its request did, also in streams. False: by its id."
        ),
    ] = True
    page: Annotated[
        bool,
        Meta(
            description="Whether `/ui/` shows the page of this machine, for reading. With API keys, it needs one with "
            'the role "view" or "operate". The page for the owner, on the control socket, does not depend on it.'
        ),
    ] = True
    metrics: Annotated[
        bool,
        Meta(
            description="Whether `/metrics` has metrics for Prometheus, and `/metrics/engines` those of engines. With "
            "API keys, programs on other machines need one; any will do. The control socket always has them."
        ),
    ] = True
    hosts: Annotated[
        tuple[str, ...],
        Meta(
            description="Further names of this machine that clients may use in their address of sparkd. `*.lan` is "
            "every name that ends with `.lan`; `*` is any name. Ports do not matter. Only without API keys. Loopback "
            "names, this machine's name and the address of the connection always work."
        ),
    ] = ()
    origins: Annotated[
        tuple[str, ...],
        Meta(
            description="Further web pages that may use sparkd, as `https://host:port`; `http://*.lan:*` for every "
            "subdomain and port, `*` for any page. Pages of this machine and of desktop programs always may."
        ),
    ] = ()


class Queue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[queue]`: how requests wait for a model that is not ready."""

    on_busy: Annotated[
        OnBusy,
        Meta(description='"wait" in the queue, or "reject" with 429 while another model is in use.'),
    ] = "wait"
    probes: Annotated[
        Probes,
        Meta(
            description='Requests with which clients check each model ("hi", with at most 5 tokens to respond): '
            '"serve" loads the model for them, "reject" answers 503 if it is not loaded. Those that a table '
            "`[clients.<name>]` recognizes are always rejected."
        ),
    ] = "serve"
    background: Annotated[
        Background,
        Meta(
            description="A background request whose model is not loaded, such as for the title of a chat: "
            '"reroute" has the utility model or another loaded model serve it, if one can, otherwise it waits; "wait" '
            'waits until its model is loaded or fits into free memory; "serve" treats it like any other request.'
        ),
    ] = "reroute"
    max_wait: Annotated[Seconds, Meta(description="Longest time a request waits for its model.")] = 900.0
    max_length: Annotated[Count, Meta(description="The most requests that wait at once; others get 429.")] = (
        1024
    )
    keep_place: Annotated[
        Seconds,
        Meta(
            description="A client that leaves the queue and requests the same model again within this time gets its "
            "place back. 0 turns this off."
        ),
    ] = 90.0
    max_hold: Annotated[
        Seconds,
        Meta(
            description="The longest time that a hold may keep a model loaded (`sparkctl hold`, `POST /models/hold`). "
            "0: no holds."
        ),
    ] = 86400.0


class Memory(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[memory]`: budget = total - reserve."""

    total: Annotated[Bytes | None, Meta(description="Memory of the machine. Unset: as measured.")] = None
    reserve: Annotated[Bytes, Meta(description="Memory kept free for the system; no model may use it.")] = (
        8 * GIB
    )
    floor: Annotated[
        Bytes | None,
        Meta(
            description="With less memory available than this, sparkd kills a model at once, the starting one first. "
            "Unset: 5 GiB; on machines with less than 80 GiB, a sixteenth of the memory."
        ),
    ] = None
    main_slots: Annotated[
        Count | None,
        Meta(description="The most normal models in memory at once. 1: strictly one. Unset: as many as fit."),
    ] = None
    learn: Annotated[
        bool,
        Meta(
            description="Whether sparkd uses the footprint that it measured in a model's last runs. False: it uses the "
            "declared one."
        ),
    ] = True
    reclaim_timeout: Annotated[
        Seconds,
        Meta(
            description="The longest time that sparkd waits for the memory of an ended process. Memory that is still "
            "missing then counts as leaked until it reappears or the machine reboots."
        ),
    ] = 90.0
    drop_caches: Annotated[
        bool,
        Meta(
            description="Whether sparkd may drop the whole page cache before a load that needs its memory; requires "
            "root. False: it drops only the weight files of models that are not running."
        ),
    ] = False


class Launchers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[launchers]`: processes that have imported an engine's modules, from which engines start in seconds."""

    preload: Annotated[
        tuple[str, ...],
        Meta(
            description="Runtimes whose launcher starts together with sparkd. Others start when a request waits for "
            "one of their models."
        ),
    ] = ()


class Failures(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[failures]`: what sparkd does when the process of a model fails."""

    backoff: Annotated[
        Seconds, Meta(description="Pause after the first failure; it doubles with each further failure.")
    ] = 5.0
    backoff_max: Annotated[Seconds, Meta(description="The longest pause; at least `backoff`.")] = 300.0
    max_failures: Annotated[
        Count,
        Meta(
            description="Failures in a row after which the model is in quarantine until you run `sparkctl retry`."
        ),
    ] = 5
    suspect_after: Annotated[
        Count,
        Meta(
            description="Failures of a ready engine after which a request that was in flight at each of them is "
            "rejected: alone, or as the only one that was in flight at all of them."
        ),
    ] = 2
    reject_for: Annotated[
        Seconds,
        Meta(
            description="How long such a request is rejected. `sparkctl retry` has it accepted at once. 0: no request "
            "is rejected for this reason."
        ),
    ] = 3600.0
    liveness: Annotated[
        Seconds,
        Meta(
            description="Interval between checks that an engine in use makes progress. After three checks in a row "
            "without progress it has failed. 0: no checks."
        ),
    ] = 15.0


class Usage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[usage]`: what sparkd remembers of requests, never their texts, and of models and the machine."""

    record: Annotated[
        bool,
        Meta(
            description="Whether finished requests are recorded. False: nothing about them is written to the disk."
        ),
    ] = True
    max_requests: Annotated[
        Count,
        Meta(
            description="The most requests that are kept one by one; older ones only count in the usage by day."
        ),
    ] = 100_000
    keep_days: Annotated[
        Count,
        Meta(description="Days for which usage by day and the history of models are kept."),
    ] = 800


class Defaults(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[defaults]`: values for models that do not set them."""

    idle_timeout: IdleTimeout = 43200.0
    start_timeout: StartTimeout = 900.0
    stop_grace: StopGrace = 10.0
    drain_timeout: DrainTimeout = 300.0
    min_residency: MinResidency = None
    download: Download = "reject"


class Paths(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[paths]`: folders. Relative ones are relative to the file that names them."""

    models: Annotated[Location, Meta(description="Files of models.")] = "models"
    state: Annotated[Location, Meta(description="Logs, and what sparkd learns.")] = "state"
    run: Annotated[Location, Meta(description="Sockets and private folders of running engines.")] = "run"
    venvs: Annotated[Location, Meta(description="Definitions of runtimes, one folder each.")] = "venvs"
    runtimes: Annotated[Location, Meta(description="Built runtimes.")] = "runtimes"


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything in the catalogue that is not a model. After reading, all paths are absolute."""

    server: Server = Server()
    queue: Queue = Queue()
    heartbeat: Heartbeat = Heartbeat()
    memory: Memory = Memory()
    launchers: Launchers = Launchers()
    failures: Failures = Failures()
    usage: Usage = Usage()
    defaults: Defaults = Defaults()
    paths: Paths = Paths()
