"""Information about a model for people and clients, which no engine gets: status, tags, limits for clients."""

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
    """`[models.<id>.clients.<client>]`: the model's limits in the configuration of a client."""

    context: Annotated[
        Count | None,
        Meta(
            description="The most tokens of prompt and response together that the client may use, at most "
            "`context_length`. Unset: `context_length`."
        ),
    ] = None
    output: Annotated[
        Count | None, Meta(description="The most tokens of a response that the client may request.")
    ] = None


class Clients(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[models.<id>.clients]`: clients for which sparkd writes configurations."""

    opencode: Annotated[
        ClientLimits, Meta(description="Limits for OpenCode: a table with `context` and `output`.")
    ] = ClientLimits()
    cline: Annotated[
        ClientLimits, Meta(description="Limits for Cline: a table with `context` and `output`.")
    ] = ClientLimits()
