"""sparkd's families of metrics: the names, labels and buckets. docs/monitoring.md has them as a table.

Names follow Prometheus's rules: base units, the unit as a suffix, `_total` for counters. The buckets of times double,
as those of OpenTelemetry's conventions for generative AI do, and reach as far as sparkd's own limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

Kind = Literal["counter", "gauge", "histogram", "info"]

Labels = tuple[str, ...]
"""The values of a family's labels, in their order."""


class Family(Struct, frozen=True):
    """A family of metrics. `help` is its description; `buckets` are the upper bounds of a histogram, without +Inf."""

    name: str
    kind: Kind
    help: str
    labels: Labels = ()
    buckets: tuple[float, ...] = ()


class Histogram(Struct, frozen=True):
    """The observations with one combination of labels: their number by bucket, the last one without a bound, and their
    sum."""

    counts: tuple[int, ...]
    sum: float


class Rows(Struct, frozen=True):
    """A family with its values: one for each combination of labels. Those of a histogram are of the type Histogram."""

    family: Family
    values: Sequence[tuple[Labels, float | Histogram]]


def _doubling(first: float, count: int) -> tuple[float, ...]:
    return tuple(first * 2**power for power in range(count))


_REQUEST: Final = (*_doubling(0.01, 17), 1800.0, 3600.0)
"""10 ms to 11 minutes, then half an hour and an hour: a request may wait that long."""

_TOKEN: Final = _doubling(0.0025, 12)
"""2.5 ms (400 tokens a second) to 5 s."""

_LOAD: Final = (
    5.0,
    10.0,
    20.0,
    30.0,
    45.0,
    60.0,
    90.0,
    120.0,
    180.0,
    240.0,
    300.0,
    450.0,
    600.0,
    900.0,
    1800.0,
)

# The daemon and the machine
BUILD = Family("sparkd_build_info", "info", "The version of sparkd that runs.", ("version",))
START_TIME = Family(
    "sparkd_start_time_seconds",
    "gauge",
    "When sparkd started, as seconds since 1970. A re-exec does not change it.",
)
REPLACEMENTS = Family("sparkd_replacements_total", "counter", "Re-execs since sparkd started.")
MEMORY = Family(
    "sparkd_memory_bytes",
    "gauge",
    "Memory that models use. kind: total; available (left now); budget (what models may use); reserve (kept for the "
    "system); committed (reserved for models in memory); leaked (not released by ended engines); floor (below it, the "
    "memory guard acts); launchers (used by launchers).",
    ("kind",),
)
PRESSURE = Family(
    "sparkd_memory_pressure_ratio",
    "gauge",
    "Share of time in which processes waited for memory (PSI). window: 10s, 60s, 300s. stalled: some (at least one "
    "process), full (all of them).",
    ("window", "stalled"),
)
DISK = Family(
    "sparkd_disk_bytes",
    "gauge",
    "Disk space of a folder. folder: models, state. kind: total, available.",
    ("folder", "kind"),
)
GPU = Family("sparkd_gpu_info", "info", "The GPU.", ("gpu", "name"))
GPU_USE = Family("sparkd_gpu_utilization_ratio", "gauge", "Share of time in which the GPU worked.", ("gpu",))
GPU_TEMPERATURE = Family("sparkd_gpu_temperature_celsius", "gauge", "Temperature of the GPU.", ("gpu",))
GPU_POWER = Family("sparkd_gpu_power_watts", "gauge", "Power that the GPU uses.", ("gpu",))
GPU_CLOCK = Family("sparkd_gpu_clock_hertz", "gauge", "Clock of the GPU's processors.", ("gpu",))
GPU_ENERGY = Family(
    "sparkd_gpu_energy_joules_total",
    "counter",
    "Energy that the GPU has used since its driver was loaded.",
    ("gpu",),
)
GPU_THROTTLED = Family(
    "sparkd_gpu_throttled",
    "gauge",
    "Whether the GPU's clock is limited now (1) or not (0). reason: power_cap, thermal, hardware, hardware_thermal, "
    "hardware_power.",
    ("gpu", "reason"),
)

# Models
MODEL = Family(
    "sparkd_model_info",
    "info",
    "A model: its kind of engine, runtime and quantization, empty if the catalogue does not name it.",
    ("model", "engine", "runtime", "quantization"),
)
MODEL_STATE = Family(
    "sparkd_model_state",
    "gauge",
    "1 for the state that the model is in, 0 for the others. state: stopped, starting, ready, draining, stopping, "
    "backoff.",
    ("model", "state"),
)
QUARANTINED = Family(
    "sparkd_model_quarantined",
    "gauge",
    "Whether the model starts again only after `sparkctl retry` (1).",
    ("model",),
)
MODEL_MEMORY = Family(
    "sparkd_model_memory_bytes",
    "gauge",
    "Memory of a model in memory. kind: estimate (reserved for it), measured (what its processes use).",
    ("model", "kind"),
)
LOAD_ELAPSED = Family(
    "sparkd_model_load_elapsed_seconds",
    "gauge",
    "Time since the load of the model began, while it loads.",
    ("model",),
)
LOAD_EXPECTED = Family(
    "sparkd_model_load_expected_seconds",
    "gauge",
    "What earlier loads say that the load takes, while it loads. Absent if there were none.",
    ("model",),
)
LAST_USED = Family(
    "sparkd_model_last_used_timestamp_seconds",
    "gauge",
    "When the last request for the model ended, as seconds since 1970.",
    ("model",),
)
LOAD = Family(
    "sparkd_model_load_seconds",
    "histogram",
    "Duration of loads. outcome: ready, failed, cancelled (stopped before it was ready).",
    ("model", "outcome"),
    _LOAD,
)
STOPS = Family(
    "sparkd_model_stops_total",
    "counter",
    "Models that left the memory. reason: idle, evicted (for another model), operator, guard, crash (also at its "
    "start), drained (sparkd stopped, or the definition changed).",
    ("model", "reason"),
)
QUARANTINES = Family("sparkd_quarantines_total", "counter", "Quarantines that began.", ("model",))
GUARD_ACTIONS = Family(
    "sparkd_guard_actions_total",
    "counter",
    "What the memory guard did. action: kill (of a model).",
    ("action",),
)
PULL = Family(
    "sparkd_pull_bytes", "gauge", "Bytes of the model that are on disk, while it downloads.", ("model",)
)
PULL_TOTAL = Family(
    "sparkd_pull_total_bytes",
    "gauge",
    "Bytes of the model in total, while it downloads and once known.",
    ("model",),
)

# The queue and requests
QUEUE = Family("sparkd_queue_requests", "gauge", "Requests that wait for a model.", ("model",))
QUEUE_LIMIT = Family(
    "sparkd_queue_limit", "gauge", "The most requests that may wait, for all models together."
)
QUEUE_OLDEST = Family(
    "sparkd_queue_oldest_wait_seconds",
    "gauge",
    "How long the oldest request that waits has waited.",
    ("model",),
)
QUEUE_WAIT = Family(
    "sparkd_queue_wait_seconds",
    "histogram",
    "How long requests waited until their model was ready: for their turn, and for its load.",
    ("model",),
    _REQUEST,
)
IN_FLIGHT = Family(
    "sparkd_requests_in_flight", "gauge", "Requests that a model's engine works on.", ("model",)
)
REQUESTS = Family(
    "sparkd_requests_total",
    "counter",
    "Finished requests. code: the HTTP status, 499 if the client had left.",
    ("model", "client", "endpoint", "code"),
)
DURATION = Family(
    "sparkd_request_duration_seconds",
    "histogram",
    "Time from the arrival of a request to its end.",
    ("model", "endpoint"),
    _REQUEST,
)
FIRST_TOKEN = Family(
    "sparkd_time_to_first_token_seconds",
    "histogram",
    "Time from the arrival of a streamed request to its first token, never a heartbeat. Includes the queue and the "
    "load.",
    ("model", "endpoint"),
    _REQUEST,
)
PER_TOKEN = Family(
    "sparkd_time_per_output_token_seconds",
    "histogram",
    "Mean time between the tokens of a streamed response, after the first one.",
    ("model", "endpoint"),
    _TOKEN,
)
PHASES = Family(
    "sparkd_request_phase_seconds_total",
    "counter",
    "Time that finished requests have spent in each phase. phase: queued, loading, prefill (until the first token), "
    "decoding, and answering for responses whose first token is unknown.",
    ("model", "phase"),
)
TOKENS = Family(
    "sparkd_tokens_total",
    "counter",
    "Tokens, as engines report them. type: input, cached (the part of the input that was computed before), output.",
    ("model", "client", "type"),
)
REFUSALS = Family(
    "sparkd_refusals_total",
    "counter",
    "Requests that got an error. code: that of the error, such as queue_full.",
    ("code",),
)
REWRITES = Family("sparkd_rewrites_total", "counter", "Requests that a rule has changed.", ("rule",))
HEARTBEATS = Family("sparkd_heartbeats_total", "counter", "Heartbeats to clients that waited.", ("endpoint",))
CLIENT_GONE = Family(
    "sparkd_client_gone_total",
    "counter",
    "Requests whose client left before the end. phase: queued, loading, prefill, decoding.",
    ("phase",),
)

# Metrics of metrics
SCRAPE_ERRORS = Family(
    "sparkd_scrape_errors_total",
    "counter",
    "Times that the metrics of a ready engine, or a part of them, could not be read for /metrics/engines.",
    ("model",),
)

FAMILIES: Final[tuple[Family, ...]] = tuple(
    value for value in globals().copy().values() if isinstance(value, Family)
)
"""All of them, in the order above."""
