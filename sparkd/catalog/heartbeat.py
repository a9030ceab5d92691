"""`[heartbeat]`: what sparkd sends to a client while its request waits."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from sparkd.catalog.quantities import LONGEST_DURATION, Seconds

HeartbeatStyle = Literal["chunk", "comment", "reasoning", "off"]
"""How a heartbeat in a stream is written."""


class Heartbeat(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[heartbeat]`: what sparkd sends to a client while its request waits."""

    style: Annotated[
        HeartbeatStyle,
        Meta(
            description='Heartbeats in streams: "chunk" is an empty chunk of the API, "comment" a line that clients '
            'skip, "reasoning" a text about the progress as reasoning of the model, "off" none. A model or a client '
            "may set its own."
        ),
    ] = "chunk"
    after: Annotated[Seconds, Meta(description="Wait before the first heartbeat.")] = 10.0
    interval: Annotated[
        float,
        Meta(
            ge=0.01,
            le=LONGEST_DURATION,
            description="Time between two heartbeats.",
            extra={"unit": "seconds"},
        ),
    ] = 10.0
    blanks: Annotated[
        bool,
        Meta(
            description="Whether a response that is not a stream gets blanks before its JSON as heartbeats. Its "
            "status is then 200 even if the request fails later: the error is in the body."
        ),
    ] = False
