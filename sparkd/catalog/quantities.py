"""Types of values in the catalogue: sizes in bytes, durations in float seconds, counts, paths.

TOML may write a size as "20 GiB"; in Python every size is a number of bytes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

GIB = 1024**3
MIB = 1024**2

LARGEST_SIZE = 2**60
"""1 EiB: no machine has more, and sums of sizes stay below the 64 bits of SQLite's integers."""

LONGEST_DURATION = 1e9
"""Seconds, 31 years: longer durations overflow the timer of an event loop."""

Bytes = Annotated[int, Meta(ge=0, le=LARGEST_SIZE, extra={"unit": "bytes"})]
Seconds = Annotated[float, Meta(ge=0.0, le=LONGEST_DURATION, extra={"unit": "seconds"})]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Location = Annotated[str, Meta(extra={"unit": "path"})]
Source = Annotated[str, Meta(extra={"unit": "source"})]

IdleTimeout = Annotated[
    Seconds,
    Meta(
        description="sparkd stops a model this long after the end of its last request, even if nothing else needs "
        "its memory. 0: never. Unset: never for a utility model."
    ),
]
StartTimeout = Annotated[
    Seconds, Meta(description="A model that is not ready this long after its launch has failed.")
]
StopGrace = Annotated[Seconds, Meta(description="Time between SIGTERM and SIGKILL.")]
DrainTimeout = Annotated[
    Seconds,
    Meta(description="The longest time that an evicted model may take to finish its requests."),
]
MinResidency = Annotated[
    Seconds | None,
    Meta(
        description="A ready model is not evicted for another one before this time, or, while it is busy, before the "
        "time that it took to load; afterwards it is. Unset: sparkd decides by the model's load time and by its usual "
        "pauses between requests."
    ),
]
CpuWeight = Annotated[
    int,
    Meta(
        ge=1,
        le=10_000,
        description="Its share of the CPUs beside other engines, when all CPUs are busy; sparkd itself has 10000. "
        "Only under systemd.",
    ),
]
Download = Annotated[
    Literal["reject", "auto"],
    Meta(
        description='A request for a model that is not on disk: "reject" rejects it and names the command that '
        'downloads the model, "auto" downloads the model while the request waits.'
    ),
]
Encoding = Literal["cl100k_base", "o200k_base"]
