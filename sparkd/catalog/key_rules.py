"""`[keys.<name>]`: what the client with an API key may do, and how much."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from sparkd.catalog.heartbeat import HeartbeatStyle
from sparkd.catalog.priority import Priority
from sparkd.catalog.quantities import Count

Role = Literal["ask", "view", "operate"]
"""What a key is for: requests to models; also to see what the machine does; or also to load and unload models."""


class KeyRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[keys.<name>]`: the rights and limits of one API key. The name is the key's name in `server.api_key_file`."""

    name: str = ""
    role: Annotated[
        Role,
        Meta(
            description='"ask" sends requests to models; "view" may also see the page `/ui/`, with the requests of all '
            'clients; "operate" may also load, unload and hold models.'
        ),
    ] = "ask"
    models: Annotated[
        tuple[str, ...],
        Meta(
            description="The models that it may use, by id, alias or pattern with `*` and `?`. Other models are "
            "rejected with 403 and are not in its lists. Unset: every model."
        ),
    ] = ()
    max_in_flight: Annotated[
        Count | None,
        Meta(
            description="The most requests that it may have at once, waiting ones included; more get 429. Unset: any "
            "number."
        ),
    ] = None
    rate: Annotated[
        Count | None,
        Meta(description="The most requests a minute; more get 429 with `Retry-After`. Unset: any number."),
    ] = None
    priority: Annotated[
        Priority | None,
        Meta(
            description="Priority of its requests, and the highest that `[clients.<name>]` can give them by what a "
            "client sends. Unset: the model's, and at most normal."
        ),
    ] = None
    background: Annotated[
        bool,
        Meta(
            description="Whether its requests are in the background: they never evict a model, see "
            "`queue.background`."
        ),
    ] = False
    heartbeat: Annotated[
        HeartbeatStyle | None,
        Meta(description="What it gets while a stream waits, see `[heartbeat]`. Unset: the client's."),
    ] = None
