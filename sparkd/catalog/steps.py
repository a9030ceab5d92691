"""What a runtime builds from source, as frozen types: `[[steps]]` of `runtime.toml` and their tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from sparkd.catalog.quantities import Bytes

STEP_PLACEHOLDERS = ("python", "source", "wheels", "cache", "venv")
"""The placeholders `{…}` in a step's commands and environment."""


class Checkout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[steps.sources]]`: one commit of one git repository."""

    repository: Annotated[str, Meta(description="Address of the repository, or a folder.")]
    commit: Annotated[
        str, Meta(pattern="^[0-9a-f]{40}$", description="The full hash of the commit, 40 digits.")
    ]
    into: Annotated[
        str, Meta(description="Folder below the step's source folder. Unset: the source folder itself.")
    ] = "."
    submodules: Annotated[
        tuple[str, ...], Meta(description="The submodules that are needed; the commit pins theirs.")
    ] = ()


class Patch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[steps.patches]]`: a change to a source, in the format of `git apply`."""

    file: Annotated[str, Meta(description="The patch: a file below the runtime's folder.")]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="SHA-256 of that file.")]
    into: Annotated[str, Meta(description="Folder below the step's source folder to which it applies.")] = "."


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[steps]]`: wheels built from source, in this order, after the locked requirements are installed."""

    step: Annotated[
        str,
        Meta(pattern="^[a-z0-9][a-z0-9._-]*$", description="Its name, reported while it is built."),
    ]
    sources: Annotated[tuple[Checkout, ...], Meta(description="Sources, checked out in this order.")] = ()
    patches: Annotated[tuple[Patch, ...], Meta(description="Patches, applied in this order.")] = ()
    needs: Annotated[
        Mapping[str, str],
        Meta(
            description="Commands and headers (`….h`) that the machine must have, each with the command that "
            "installs it."
        ),
    ] = {}
    disk: Annotated[Bytes, Meta(description="The most disk space that it takes.")] = 0
    environment: Annotated[
        Mapping[str, str],
        Meta(
            description="Environment variables of its commands. sparkd fills in {python}, {source}, {wheels}, {cache} "
            "(kept between attempts) and {venv}, here and in the commands."
        ),
    ] = {}
    commands: Annotated[
        tuple[tuple[str, ...], ...],
        Meta(
            description="Commands that build it, run one after another in its source folder. Wheels go into {wheels}."
        ),
    ]
    builds: Annotated[
        tuple[str, ...], Meta(description="Distributions for which {wheels} must then contain a wheel.")
    ]
