"""What may run, as frozen types: models and runtimes.

The TOML keys, the JSON Schema and docs/configuration.md follow from the types here and beside: settings, labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sparkd.catalog.labels import Clients, Status, Tag
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
from sparkd.catalog.steps import Step

Scalar = str | int | float | bool

EngineName = Literal["vllm", "sglang", "command"]
Lifecycle = Literal["normal", "utility", "exclusive"]

NOT_KEYS = frozenset({"id", "name", "folder"})
"""Fields that the place of a definition gives (its table's name, its folder), so that no key does."""

UNHEARD = frozenset(
    {
        "aliases",
        "description",
        "family",
        "parameters",
        "tags",
        "status",
        "reason",
        "instead",
        "clients",
        "rewriting",
        "pinned",
        "idle_timeout",
        "drain_timeout",
        "min_residency",
    }
)
"""Fields of a model that its start knows nothing of: what people and clients are told, what happens to requests, how
long a ready engine stays."""

PLACEHOLDERS = ("host", "port", "socket", "source", "model", "context_length")
"""What `{…}` in a `command` may name."""


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[models.<id>]`: one model a client can name. The id is the table's name."""

    id: str
    aliases: Annotated[tuple[str, ...], Meta(description="Other names clients may use.")] = ()
    description: Annotated[str, Meta(description="One line for people.")] = ""
    family: Annotated[
        str | None,
        Meta(description="Models like it: what `[families.<name>]` says holds where the model says nothing."),
    ] = None
    parameters: Annotated[
        str, Meta(description='Size of the model, for people, such as "30B, 3B active".')
    ] = ""
    tags: Annotated[tuple[Tag, ...], Meta(description="What it is good for, the best first.")] = ()
    engine: Annotated[EngineName, Meta(description="Kind of server program.")] = "vllm"
    runtime: Annotated[
        str | None,
        Meta(
            description='Virtualenv the engine runs in: a folder of `paths.venvs`. Engines "vllm" and "sglang" '
            "need one."
        ),
    ] = None
    source: Annotated[
        Source | None,
        Meta(
            description="Hugging Face repository `org/name`, or a folder (absolute, or starting with `./` and "
            'relative to the file that names it). Engines "vllm" and "sglang" need one.'
        ),
    ] = None
    revision: Annotated[
        str | None,
        Meta(description="Branch, tag or commit of the source. Unset: what the repository has as `main`."),
    ] = None
    encodings: Annotated[
        tuple[Encoding, ...],
        Meta(description="Encodings of tiktoken that the engine wants on disk; GPT-OSS does."),
    ] = ()
    context_length: Annotated[
        Count | None,
        Meta(description="Most tokens of prompt and answer together. Unset: what the model itself says."),
    ] = None
    vision: Annotated[bool, Meta(description="The model takes images.")] = False
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
    cpu_weight: CpuWeight = 100
    status: Annotated[
        Status,
        Meta(
            description='"validated": works on the machines it is meant for; "experimental"; "manual": served when '
            'named, left out of clients\' configurations; "disabled": listed nowhere and refused.'
        ),
    ] = "experimental"
    reason: Annotated[
        str,
        Meta(
            description="Why it has that status. Needed when it is disabled: whoever asks for it is told. Holds for "
            "the status beside or below it, not for one that is said later."
        ),
    ] = ""
    instead: Annotated[
        str,
        Meta(description="What to use instead, in a few words, for whoever asks for a disabled model."),
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
    rewriting: Annotated[
        Rewriting, Meta(description="How requests are mended for it: `[models.<id>.rewriting]`.")
    ] = Rewriting()
    clients: Annotated[
        Clients,
        Meta(description="What clients' configurations say about it: `[models.<id>.clients.<client>]`."),
    ] = Clients()
    health: Annotated[str, Meta(description="Path that answers 200 once the engine is ready.")] = "/health"
    idle_timeout: IdleTimeout
    start_timeout: StartTimeout
    stop_grace: StopGrace
    drain_timeout: DrainTimeout
    min_residency: MinResidency
    download: Download

    @property
    def enabled(self) -> bool:
        """Whether it is served at all."""
        return self.status != "disabled"

    def starts_like(self, other: Model) -> bool:
        """Whether a start of the other one would have gone the same way."""
        heard = (name for name in self.__struct_fields__ if name not in UNHEARD)
        return all(getattr(self, name) == getattr(other, name) for name in heard)

    @property
    def takes_source(self) -> bool:
        """Whether its engine is given the source, and so needs it on disk; a program of one's own may not be."""
        return self.engine != "command" or any("{source}" in word for word in self.command)


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
    environment_aarch64: Annotated[
        Mapping[str, str],
        Meta(description="More of them for machines with Arm processors, whose GPU is a GB10."),
    ] = {}
    steps: Annotated[
        tuple[Step, ...], Meta(description="What is built from source, after the requirements.")
    ] = ()
    cuda: Annotated[
        str | None,
        Meta(
            description='Major version of CUDA that the PyTorch in it must be built for: "13". Unset: any, or none.'
        ),
    ] = None
    fetch: Annotated[
        tuple[tuple[str, ...], ...],
        Meta(
            description="Commands that fetch more into a build on a machine with an NVIDIA GPU, as `smoke`; one that "
            "fails is told, and is no failure of the build."
        ),
    ] = ()
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
    smoke_gpu: Annotated[
        tuple[tuple[str, ...], ...],
        Meta(description="More of them for machines with an NVIDIA GPU."),
    ] = ()
