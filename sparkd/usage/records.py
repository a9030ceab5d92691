"""What is recorded: one value for each thing that happened. Plain frozen data; encoded with msgspec.

Points in time are seconds since the epoch (`time.time`), durations seconds. None is "unknown", which is not 0.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

ANONYMOUS: Final = "anonymous"
"""`client` of a request without an API key."""

OTHER: Final = "other"
"""`model` of a request that named none of the catalogue, and `endpoint` of a path that has no name."""

Phase = Literal["queued", "loading", "prefill", "decoding"]
"""Where a request is: waits for its turn, waits for its model to load, waits for the first token, or gets tokens."""

StopReason = Literal["idle", "evicted", "operator", "guard", "crash", "drained"]
"""Why a model left the memory: nobody used it, another model needed its memory, the owner or an operator stopped it,
the memory guard killed it, its engine failed (also at its start), or sparkd stopped or its definition has changed."""


class RequestRecord(Struct, frozen=True, kw_only=True):
    """A request that has ended, however it did.

    `id` is its `x-request-id`. `model` served it, `asked` is the name in the request. `client` is the name of its API
    key, `program` the client program if it was recognized, otherwise "". `endpoint` is the path that the API documents,
    such as "/v1/chat/completions". `status` is what the client got, 499 if it had left, and `code` the code of the
    error, "" for none. `gone` is the phase in which the client left. `queue_seconds` and `load_seconds` are how long it
    waited for its turn and for the load of its model; both are 0 if the model was ready. `first_token_seconds` is the
    time from its arrival to the first token, never a heartbeat; None if there was none, and for responses in one piece.
    `seconds` is the time from its arrival to its end. `cached` is the part of `tokens_in` that the engine had computed
    before. `rewrites` names the rules that changed it; `heartbeats` is how many it got.
    """

    ended: float
    id: str
    model: str
    asked: str
    client: str = ANONYMOUS
    program: str = ""
    endpoint: str
    status: int
    code: str = ""
    gone: Phase | None = None
    streamed: bool = False
    queue_seconds: float = 0.0
    load_seconds: float = 0.0
    first_token_seconds: float | None = None
    seconds: float
    tokens_in: int | None = None
    tokens_cached: int | None = None
    tokens_out: int | None = None
    rewrites: tuple[str, ...] = ()
    heartbeats: int = 0

    @property
    def output_seconds(self) -> float | None:
        """The time from the first token to the end. None if the first token is unknown."""
        return None if self.first_token_seconds is None else self.seconds - self.first_token_seconds


class StateChange(Struct, frozen=True, kw_only=True):
    """A model's state has changed.

    `state` is a state of the lifecycle, or "removed" for a model that left the catalogue. `run` counts launches.
    `stop_reason` is set when the model stops or fails, with the sentence `text` about the cause. `after` is how long
    the previous state `before` lasted. `evicted_for` is the model that needs the memory, if that is the reason.
    """

    at: float
    model: str
    run: int
    state: str
    after: float
    before: str = ""
    stop_reason: StopReason | None = None
    text: str = ""
    evicted_for: str = ""


EventKind = Literal["download_began", "downloaded", "download_failed", "guard", "reloaded"]
"""What an Occurrence is: a download began, has finished or has failed; the memory guard acted; the catalogue was
reloaded."""


class Occurrence(Struct, frozen=True, kw_only=True):
    """Something that happened, but changed no model's state. `model` is "" if it concerns the machine."""

    at: float
    kind: EventKind
    model: str = ""
    text: str = ""


class Measurement(Struct, frozen=True, kw_only=True):
    """The machine over one interval that ends `at`. Each is None if it is unknown.

    Tokens are per second, memory is bytes, `gpu` and `pressure` are ratios (0 to 1), `temperature` is °C, `power`
    watts, `clock` hertz. `used` is what models use, `available` what the machine has left. `peak_out` is the highest
    `tokens_out` of 5 seconds in a longer interval.
    """

    at: float
    tokens_in: float | None = None
    tokens_out: float | None = None
    in_flight: float | None = None
    waiting: float | None = None
    available: float | None = None
    used: float | None = None
    gpu: float | None = None
    temperature: float | None = None
    power: float | None = None
    clock: float | None = None
    pressure: float | None = None
    peak_out: float | None = None
