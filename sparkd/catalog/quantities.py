"""What values of the catalogue are made of: sizes in bytes, durations in float seconds, counts, places.

A size may be written "20 GiB" in TOML; in Python every one is a number of bytes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

GIB = 1024**3
MIB = 1024**2

LARGEST_SIZE = 2**60
"""1 EiB: no machine has more, and sums of sizes stay below the 64 bits of SQLite's integers."""

LONGEST_DURATION = 1e9
"""Seconds, 31 years: any longer and an event loop's timer overflows."""

Bytes = Annotated[int, Meta(ge=0, le=LARGEST_SIZE, extra={"unit": "bytes"})]
Seconds = Annotated[float, Meta(ge=0.0, le=LONGEST_DURATION, extra={"unit": "seconds"})]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Location = Annotated[str, Meta(extra={"unit": "path"})]
Source = Annotated[str, Meta(extra={"unit": "source"})]

IdleTimeout = Annotated[
    Seconds,
    Meta(
        description="A model unused for this long is stopped, counted from the end of its last request; 0: never."
    ),
]
StartTimeout = Annotated[
    Seconds, Meta(description="A model not ready this long after its launch has failed.")
]
StopGrace = Annotated[Seconds, Meta(description="Time between SIGTERM and SIGKILL.")]
DrainTimeout = Annotated[
    Seconds,
    Meta(description="Longest time an evicted model may go on answering what it has begun."),
]
MinResidency = Annotated[
    Seconds,
    Meta(
        description="A ready model is not evicted for another before this, or before its own load time "
        "if longer and it is busy."
    ),
]
CpuWeight = Annotated[
    int,
    Meta(
        ge=1,
        le=10_000,
        description="Its share of CPUs that are all busy, beside other engines; sparkd itself has 10000. Only under "
        "systemd.",
    ),
]
Download = Annotated[
    Literal["refuse", "auto"],
    Meta(
        description='What a request for a model that is not on disk does: "refuse" tells how to fetch it, "auto" '
        "fetches it, the request waiting meanwhile."
    ),
]
Encoding = Literal["cl100k_base", "o200k_base"]
