"""What people and their programs are told about a model, and no engine is: its status, its tags, clients' limits."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from sparkd.catalog.quantities import Count

Status = Literal["validated", "experimental", "manual", "disabled"]
Tag = Literal[
    "chat",
    "code",
    "tools",
    "reasoning",
    "math",
    "writing",
    "languages",
    "roleplay",
    "uncensored",
    "vision",
    "ocr",
    "audio",
    "embeddings",
    "long-context",
    "quality",
    "fast",
    "small",
]


class ClientLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[models.<id>.clients.<client>]`: what the configuration of a client says about the model."""

    context: Annotated[
        Count | None,
        Meta(
            description="Tokens of prompt and answer together that the client may fill; no more than `context_length` "
            "counts. Unset: `context_length`."
        ),
    ] = None
    output: Annotated[
        Count | None, Meta(description="Tokens of the longest answer that the client may ask for.")
    ] = None


class Clients(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[models.<id>.clients]`: programs for which sparkd writes configurations."""

    opencode: Annotated[
        ClientLimits, Meta(description="Limits for OpenCode: a table with `context` and `output`.")
    ] = ClientLimits()
    cline: Annotated[
        ClientLimits, Meta(description="Limits for Cline: a table with `context` and `output`.")
    ] = ClientLimits()
