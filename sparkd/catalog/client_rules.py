"""`[clients.<name>]`: how sparkd recognizes a client program or a kind of request, and how it treats these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sparkd.catalog.heartbeat import HeartbeatStyle
from sparkd.catalog.priority import Priority

Shape = Literal["probe", "no-tools"]
"""What the body of a request looks like. gateway/admission/shapes.py has the tests."""


class ClientRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[clients.<name>]`: recognizes a client program, or one kind of its requests, by all conditions that are set.
    A condition with several values needs one of them. If several tables match, the one with the most conditions
    applies, then the first."""

    name: str = ""
    keys: Annotated[
        tuple[str, ...],
        Meta(description="Condition: the name of the client's API key."),
    ] = ()
    headers: Annotated[
        Mapping[str, str],
        Meta(
            description="Condition: each of these headers matches its pattern with `*` and `?`, such as "
            '`{ user-agent = "opencode/*" }`. Case does not matter.'
        ),
    ] = {}
    paths: Annotated[
        tuple[str, ...],
        Meta(description="Condition: the path of the request, as patterns: `/v1/audio/*`."),
    ] = ()
    models: Annotated[
        tuple[str, ...],
        Meta(description="Condition: the model's name in the request, as patterns: `*haiku*`."),
    ] = ()
    shape: Annotated[
        Shape | None,
        Meta(
            description='Condition: "probe" is a greeting that wants at most 5 tokens, which is rejected if its model '
            'is not loaded; "no-tools" is a request for text without tools.'
        ),
    ] = None
    prompts: Annotated[
        tuple[str, ...],
        Meta(description="Condition: how the system prompt or the last message begins. Case matters."),
    ] = ()
    priority: Annotated[
        Priority | None, Meta(description="Priority of these requests. Unset: the key's or the model's.")
    ] = None
    background: Annotated[
        bool,
        Meta(
            description="Whether these requests are in the background: they never evict a model, see "
            "`queue.background`."
        ),
    ] = False
    heartbeat: Annotated[
        HeartbeatStyle | None,
        Meta(
            description="What the client gets while a stream waits, see `[heartbeat]`. Unset: the model's. Not with "
            "`models`, `shape` and `prompts`, if the model is loaded."
        ),
    ] = None

    @property
    def needs_body(self) -> bool:
        """Whether a condition is about the body."""
        return bool(self.models or self.shape or self.prompts)

    @property
    def conditions(self) -> int:
        """The number of conditions that are set."""
        return sum(map(bool, (self.keys, self.headers, self.paths, self.models, self.shape, self.prompts)))
