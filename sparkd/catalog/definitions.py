"""A model of the catalogue, as a frozen type.

This type, and those in runtime, settings and labels, define the TOML keys, the JSON Schema and docs/configuration.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sparkd.catalog.heartbeat import HeartbeatStyle
from sparkd.catalog.labels import Clients, Status, Tag
from sparkd.catalog.priority import Priority
from sparkd.catalog.quantities import (
    Bytes,
    Count,
    CpuWeight,
    Download,
    DrainTimeout,
    Encoding,
    IdleTimeout,
    MinResidency,
    Source,
    StartTimeout,
    StopGrace,
)
from sparkd.catalog.rewriting import Rewriting
from sparkd.catalog.tasks import Task

Scalar = str | int | float | bool

EngineName = Literal["vllm", "sglang", "command"]
Lifecycle = Literal["normal", "utility", "exclusive"]

IMPLICIT_FIELDS = frozenset({"id", "name", "folder"})
"""Fields that come from the name of the table or from its folder, not from a key."""

NO_RESTART_FIELDS = frozenset(
    {
        "aliases",
        "description",
        "family",
        "parameters",
        "tags",
        "tasks",
        "status",
        "reason",
        "instead",
        "clients",
        "heartbeat",
        "ask_usage",
        "priority",
        "preload",
        "load_at",
        "rewriting",
        "pinned",
        "idle_timeout",
        "drain_timeout",
        "min_residency",
    }
)
"""Fields of a model that do not affect its start: information for people and clients, the rewriting of requests, how
long a ready engine stays loaded."""

PLACEHOLDERS = ("host", "port", "socket", "source", "model", "context_length")
"""The placeholders `{…}` in a `command`."""


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[models.<id>]`: one model that clients can name. The id is the table's name."""

    id: str
    aliases: Annotated[
        tuple[str, ...],
        Meta(
            description="Other names that clients may use. `*` stands for any characters, `?` for one: `claude-*`. The "
            "most specific pattern wins."
        ),
    ] = ()
    description: Annotated[str, Meta(description="A one-line description for people.")] = ""
    family: Annotated[
        str | None,
        Meta(description="Its family: `[families.<name>]` sets the keys that the model does not set."),
    ] = None
    parameters: Annotated[
        str, Meta(description='Size of the model, for people, such as "30B, 3B active".')
    ] = ""
    tags: Annotated[tuple[Tag, ...], Meta(description="What the model is good for, the best use first.")] = ()
    tasks: Annotated[
        tuple[Task, ...],
        Meta(
            description="What the model does, if its flags and tags do not say: it gets no other requests. A model "
            'that embeds and ranks has ["embed", "score"]. Unset: found from its flags and tags; if these do not say, '
            "it gets every request."
        ),
    ] = ()
    engine: Annotated[EngineName, Meta(description="The kind of server program.")] = "vllm"
    runtime: Annotated[
        str | None,
        Meta(
            description='Virtualenv in which the engine runs: a folder of `paths.venvs`. The engines "vllm" and '
            '"sglang" need one.'
        ),
    ] = None
    source: Annotated[
        Source | None,
        Meta(
            description="Hugging Face repository `org/name`, or a folder (absolute, or starting with `./` and "
            'relative to the file that names it). The engines "vllm" and "sglang" need one.'
        ),
    ] = None
    revision: Annotated[
        str | None,
        Meta(description="Branch, tag or commit of the source. Unset: the branch `main`."),
    ] = None
    encodings: Annotated[
        tuple[Encoding, ...],
        Meta(description="Encodings of tiktoken that the engine needs on disk, such as for GPT-OSS."),
    ] = ()
    context_length: Annotated[
        Count | None,
        Meta(description="The most tokens of prompt and response together. Unset: the model's own limit."),
    ] = None
    vision: Annotated[bool, Meta(description="The model takes images.")] = False
    media_domains: Annotated[
        tuple[str, ...],
        Meta(
            description="Domains from which its engine may fetch images, video and audio, such as "
            "`upload.wikimedia.org`. Unset: none; requests contain them as data URLs."
        ),
    ] = ()
    memory: Annotated[
        Bytes | None,
        Meta(
            description="Expected footprint, used until sparkd has measured the real one. The engine gets it as its "
            "limit. Unset: the value that the engine's flags imply, or the whole budget."
        ),
    ] = None
    kv_cache: Annotated[
        Bytes | None,
        Meta(
            description='Size of the KV cache, for the engine "vllm". Unset: what `memory` leaves after the weights.'
        ),
    ] = None
    lifecycle: Annotated[
        Lifecycle,
        Meta(
            description='"normal"; "utility" stays loaded beside the main model, which never evicts it (at most one '
            'enabled model); "exclusive" needs every other model stopped.'
        ),
    ] = "normal"
    pinned: Annotated[
        bool,
        Meta(
            description="Once ready, the model is never stopped when idle and never evicted for another model."
        ),
    ] = False
    preload: Annotated[
        bool,
        Meta(
            description="Whether the model is loaded without a request: when sparkd starts, and whenever the memory "
            "that it needs has become free. It never evicts another model for that."
        ),
    ] = False
    load_at: Annotated[
        tuple[str, ...],
        Meta(
            description="Times of day, in local time, at which the model is loaded as if a request of low priority "
            'named it: `"07:00"`, `"Mon-Fri 18:30"`, `"Sat,Sun 9:00"`.'
        ),
    ] = ()
    priority: Annotated[
        Priority,
        Meta(
            description="Priority of requests for it whose client has none of its own. While requests wait for several "
            "models, those of a higher priority come first; waiting raises the priority of each."
        ),
    ] = "normal"
    heartbeat: Annotated[
        HeartbeatStyle | None,
        Meta(
            description="What a client gets while its stream waits, see `[heartbeat]`. Unset: that of `[heartbeat]`; "
            'for other engines than "vllm", whose chunks sparkd does not know, "comment" instead of "chunk" and '
            '"reasoning".'
        ),
    ] = None
    ask_usage: Annotated[
        bool | None,
        Meta(
            description="Whether sparkd asks its engine how many tokens a stream used (`stream_options.include_usage`) "
            "if the client does not; the client gets the same stream as without it. Unset: true for the engines "
            '"vllm" and "sglang", false for "command", whose program may reject the field.'
        ),
    ] = None
    cpu_weight: CpuWeight = 100
    status: Annotated[
        Status,
        Meta(
            description='"validated": tested on the machines it is meant for; "experimental"; "manual": served when a '
            'request names it, left out of client configurations; "disabled": not listed, and requests are rejected.'
        ),
    ] = "experimental"
    reason: Annotated[
        str,
        Meta(
            description="The reason for its status. Required for a disabled model: rejected requests get it. It "
            "belongs to the status that is set with it or before it, not to one that is set later."
        ),
    ] = ""
    instead: Annotated[
        str,
        Meta(description="The model to use instead of this one, as a short text. Rejected requests get it."),
    ] = ""
    options: Annotated[
        Mapping[str, Scalar | tuple[Scalar, ...]],
        Meta(
            description="Flags of the engine without their dashes. true sets the flag without a value, false sets "
            "`--no-` and the flag, a list sets several values."
        ),
    ] = {}
    environment: Annotated[Mapping[str, str], Meta(description="Environment variables of the engine.")] = {}
    command: Annotated[
        tuple[str, ...],
        Meta(
            description='For the engine "command": program and arguments. sparkd fills in {source}, {model}, '
            "{context_length} and the address to listen on, {host} and {port} or {socket}, here and in `environment`."
        ),
    ] = ()
    rewriting: Annotated[
        Rewriting, Meta(description="How requests for it are rewritten: `[models.<id>.rewriting]`.")
    ] = Rewriting()
    clients: Annotated[
        Clients,
        Meta(description="Its limits in client configurations: `[models.<id>.clients.<client>]`."),
    ] = Clients()
    health: Annotated[
        str,
        Meta(
            description="Path that responds with 200 once the engine is ready. Until then it may refuse connections or "
            "answer 503. An engine that answers only other errors has failed."
        ),
    ] = "/health"
    warm: Annotated[
        bool,
        Meta(
            description="Whether its engine is forked from a launcher, a process of its runtime that has imported the "
            'engine\'s modules already. Only for the engine "vllm". False: its engine imports them itself.'
        ),
    ] = True
    idle_timeout: IdleTimeout
    start_timeout: StartTimeout
    stop_grace: StopGrace
    drain_timeout: DrainTimeout
    min_residency: MinResidency
    download: Download

    @property
    def enabled(self) -> bool:
        """Whether the model is served at all."""
        return self.status != "disabled"

    def launches_same_as(self, other: Model) -> bool:
        """Whether both definitions lead to the same start of an engine."""
        relevant = (name for name in self.__struct_fields__ if name not in NO_RESTART_FIELDS)
        return all(getattr(self, name) == getattr(other, name) for name in relevant)

    @property
    def needs_source(self) -> bool:
        """Whether its engine gets the source and needs it on disk. A command may do without it."""
        return self.engine != "command" or any("{source}" in word for word in self.command)
