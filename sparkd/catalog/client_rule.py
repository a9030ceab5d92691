"""`[clients.<name>]`: marks by which sparkd recognizes a client program or one kind of its requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sparkd.catalog.heartbeat import HeartbeatStyle
from sparkd.catalog.priority import Priority

Shape = Literal["probe", "toolless"]
"""What a request looks like: a greeting with a limit of at most 5 tokens; any request without tools."""


class ClientRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[clients.<name>]`: a client program, or one kind of its requests, and how they are treated."""

    keys: Annotated[
        tuple[str, ...], Meta(description="Names of API keys, one of which the request has. May be patterns.")
    ] = ()
    headers: Annotated[
        Mapping[str, str],
        Meta(
            description="Headers that the request has, with a pattern for the value: "
            '`{ user-agent = "opencode/*" }`. Case does not matter.'
        ),
    ] = {}
    paths: Annotated[
        tuple[str, ...],
        Meta(description="Patterns of paths, one of which the request has, such as `/v1/messages`."),
    ] = ()
    models: Annotated[
        tuple[str, ...],
        Meta(
            description="Patterns of names, by one of which the request asks for its model: `claude-*haiku*`."
        ),
    ] = ()
    prompts: Annotated[
        tuple[str, ...],
        Meta(
            description="Texts, with one of which the first or the last message begins, or the system prompt. In a "
            "request with many tools, only the system prompt counts."
        ),
    ] = ()
    shape: Annotated[
        Shape | None,
        Meta(
            description='"probe": one short user message, a limit of at most 5 tokens, no tools and no system '
            'message. "toolless": no tools. Unset: any.'
        ),
    ] = None
    priority: Annotated[
        Priority | None,
        Meta(
            description='Priority of such requests. With API keys, "high" counts only in a table with `keys`, '
            "because any client can send these marks. Unset: that of the model."
        ),
    ] = None
    background: Annotated[
        bool,
        Meta(
            description="Whether such requests run in the background: they never evict a model, and another model may "
            "answer them."
        ),
    ] = False
    heartbeat: Annotated[
        HeartbeatStyle | None,
        Meta(
            description="What their streams get while they wait, see `[heartbeat]`. Unset: that of the model."
        ),
    ] = None

    @property
    def conditions(self) -> int:
        """How many marks a request must have. A rule with more of them overrides one with fewer."""
        marks = (self.keys, self.paths, self.models, self.prompts, self.shape)
        return len(self.headers) + sum(bool(mark) for mark in marks)

    @property
    def needs_body(self) -> bool:
        """Whether the body decides."""
        return bool(self.models or self.prompts or self.shape)
