"""`[keys.<name>]`: what the holder of an API key may do, and how its requests are treated."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from sparkd.catalog.heartbeat import HeartbeatStyle
from sparkd.catalog.priority import Priority
from sparkd.catalog.quantities import Count

Role = Literal["ask", "operate"]
"""What a client may do: send requests to models, or also load, unload and download them."""


class KeyPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[keys.<name>]`: what the holder of the API key with this name may do, and how its requests are treated."""

    role: Annotated[
        Role,
        Meta(description='"ask" sends requests to models; "operate" also loads, unloads and downloads them.'),
    ] = "ask"
    models: Annotated[
        tuple[str, ...],
        Meta(
            description="The models that the key may use: ids, aliases, or patterns of these, such as `qwen*`. "
            "Requests for others get 403, and lists leave them out. Unset: all."
        ),
    ] = ()
    max_in_flight: Annotated[
        Count | None,
        Meta(description="The most requests at once, waiting ones included. More get 429. Unset: no limit."),
    ] = None
    rate: Annotated[
        Count | None,
        Meta(
            description="Requests per minute. So many may come at once; more get 429 with the time to wait. Unset: no "
            "limit."
        ),
    ] = None
    priority: Annotated[
        Priority | None,
        Meta(
            description="Priority of its requests. A `[clients.<name>]` may lower it, and not raise it. Unset: that "
            "of the client, or of the model."
        ),
    ] = None
    background: Annotated[
        bool,
        Meta(description="Whether all its requests run in the background: they never evict a model."),
    ] = False
    heartbeat: Annotated[
        HeartbeatStyle | None,
        Meta(
            description="What its streams get while they wait, see `[heartbeat]`. Unset: that of the client, or of "
            "the model."
        ),
    ] = None


DEFAULT_POLICY = KeyPolicy()
"""The policy of a key that the catalogue says nothing about."""
