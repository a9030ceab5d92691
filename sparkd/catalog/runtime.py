"""A runtime of the catalogue, as a frozen type."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from sparkd.catalog.quantities import Bytes
from sparkd.catalog.steps import Step


class Runtime(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`<paths.venvs>/<name>/runtime.toml`: a pinned virtualenv. Its name is the folder's name."""

    name: str
    folder: Path
    description: Annotated[str, Meta(description="A one-line description for people.")] = ""
    python: Annotated[str, Meta(description="Accepted versions of Python, as a version specifier.")] = (
        ">=3.11"
    )
    requirements: Annotated[str, Meta(description="The locked requirements: a file in the same folder.")] = (
        "requirements.lock"
    )
    disk: Annotated[
        Bytes, Meta(description="The most disk space that a build takes. With less, it does not start.")
    ] = 0
    torch_backend: Annotated[
        str | None,
        Meta(
            description="Build of PyTorch (`cpu`, `cu130`, …), used if no find-links folder has the pinned version."
        ),
    ] = None
    find_links: Annotated[
        tuple[str, ...], Meta(description="Folders with wheels, in addition to PIP_FIND_LINKS.")
    ] = ()
    provides: Annotated[
        Mapping[str, str],
        Meta(
            description="Names and versions of placeholder distributions, for programs that look up their own version "
            "under another name."
        ),
    ] = {}
    environment: Annotated[
        Mapping[str, str], Meta(description="Environment variables for every engine of this runtime.")
    ] = {}
    environment_aarch64: Annotated[
        Mapping[str, str],
        Meta(description="Additional variables for machines with Arm processors, whose GPU is a GB10."),
    ] = {}
    steps: Annotated[
        tuple[Step, ...], Meta(description="Steps that build from source, after the requirements.")
    ] = ()
    cuda: Annotated[
        str | None,
        Meta(
            description='Major version of CUDA for which its PyTorch must be built: "13". Unset: any, or none.'
        ),
    ] = None
    fetch: Annotated[
        tuple[tuple[str, ...], ...],
        Meta(
            description="Commands that download more into a build on a machine with an NVIDIA GPU, written as in "
            "`smoke`. If one fails, sparkd reports it and the build continues."
        ),
    ] = ()
    imports: Annotated[
        tuple[str, ...], Meta(description="Modules that can be imported after the build.")
    ] = ()
    versions: Annotated[
        Mapping[str, str],
        Meta(description="Distributions and the versions that they must have after the build."),
    ] = {}
    smoke: Annotated[
        tuple[tuple[str, ...], ...],
        Meta(
            description="Commands that must succeed after the build. Their program comes from the virtualenv."
        ),
    ] = ()
    smoke_gpu: Annotated[
        tuple[tuple[str, ...], ...],
        Meta(description="Additional commands for machines with an NVIDIA GPU."),
    ] = ()
