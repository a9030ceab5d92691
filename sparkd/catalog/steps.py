"""What a runtime builds from source, as frozen types: `[[steps]]` of `runtime.toml` and the tables in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from sparkd.catalog.quantities import Bytes

STEP_PLACEHOLDERS = ("python", "source", "wheels", "cache", "venv")
"""What `{…}` in a step's commands and environment may name."""


class Checkout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[steps.sources]]`: one commit of one git repository."""

    repository: Annotated[str, Meta(description="Address of the repository, or a folder.")]
    commit: Annotated[
        str, Meta(pattern="^[0-9a-f]{40}$", description="The commit, by all 40 digits of its name.")
    ]
    into: Annotated[
        str, Meta(description="Folder below the step's source where it goes. Unset: the source itself.")
    ] = "."
    submodules: Annotated[
        tuple[str, ...], Meta(description="Its submodules that are needed; the commit pins theirs.")
    ] = ()


class Patch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[steps.patches]]`: a change to a source, as `git apply` takes it."""

    file: Annotated[str, Meta(description="The patch, a file below the runtime's folder.")]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="SHA-256 of that file.")]
    into: Annotated[str, Meta(description="Folder below the step's source that it changes.")] = "."


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[steps]]`: wheels that are built from source once the locked requirements are installed, in this order."""

    step: Annotated[
        str,
        Meta(pattern="^[a-z0-9][a-z0-9._-]*$", description="Its name: what is said while it is built."),
    ]
    sources: Annotated[tuple[Checkout, ...], Meta(description="Sources, laid out in this order.")] = ()
    patches: Annotated[tuple[Patch, ...], Meta(description="Patches, applied in this order.")] = ()
    needs: Annotated[
        Mapping[str, str],
        Meta(
            description="Commands and headers (`….h`) that the machine must have, each with the command that gets it."
        ),
    ] = {}
    disk: Annotated[Bytes, Meta(description="Space it takes at its fullest.")] = 0
    environment: Annotated[
        Mapping[str, str],
        Meta(
            description="Environment variables of its commands. {python}, {source}, {wheels}, {cache} (kept between "
            "attempts) and {venv} are filled in, in the commands too."
        ),
    ] = {}
    commands: Annotated[
        tuple[tuple[str, ...], ...],
        Meta(description="What builds it, run one after another in its source; wheels go into {wheels}."),
    ]
    builds: Annotated[
        tuple[str, ...], Meta(description="Distributions of which {wheels} must then have a wheel.")
    ]
