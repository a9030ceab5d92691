"""A busy machine, as the screens show it."""

from __future__ import annotations

from msgspec.structs import replace

from sparkd.catalog.quantities import GIB
from sparkd.cli.screen.view import Gpu, LoadRow, RequestRow, Step, View, WaitingRow
from sparkd.scheduling.status import MemoryStatus, ModelStatus

MODELS = (
    ModelStatus(
        id="qwen3-coder-30b",
        state="ready",
        state_seconds=192.0,
        in_flight=2,
        footprint=40 * GIB,
        memory_used=36 * GIB,
        load_time=95.0,
    ),
    ModelStatus(
        id="gemma-3-12b",
        state="starting",
        state_seconds=31.0,
        waiting=2,
        footprint=20 * GIB,
        memory_used=7 * GIB,
        phase="loading weights",
        progress=0.4,
    ),
    ModelStatus(id="whisper", state="ready", state_seconds=4000.0, footprint=4 * GIB, pinned=True),
    ModelStatus(
        id="llama-70b",
        state="backoff",
        state_seconds=3.0,
        footprint=60 * GIB,
        quarantined=True,
        cause="the engine ran out of memory. Lower context_length.",
    ),
    ModelStatus(id="mistral", state="stopped", state_seconds=9000.0, footprint=14 * GIB),
)

REQUESTS = (
    RequestRow(
        id="req-7f3a21",
        model="qwen3-coder-30b",
        client="laptop",
        program="opencode",
        endpoint="/v1/chat/completions",
        phase="decoding",
        seconds=22.0,
        tokens_in=18_400,
        tokens_out=812,
        speed=41.23,
    ),
    RequestRow(
        id="req-11ab90",
        model="qwen3-coder-30b",
        client="phone",
        endpoint="/v1/messages",
        phase="prefill",
        seconds=3.1,
    ),
    RequestRow(
        id="req-5c5c5c",
        model="gemma-3-12b",
        client="home",
        endpoint="/v1/chat/completions",
        phase="loading",
        seconds=31.0,
    ),
)

VIEW = View(
    version="0.1.0",
    name="spark",
    uptime=11_520.0,
    memory=MemoryStatus(
        total=120 * GIB,
        reserve=8 * GIB,
        budget=112 * GIB,
        reserved=64 * GIB,
        floor=4 * GIB,
        available=70 * GIB,
    ),
    system=6 * GIB,
    gpu=Gpu(name="GB10", utilization=0.87, temperature=64.0, power=112.0, clock=2.4e9),
    models=MODELS,
    loads=(
        LoadRow(
            model="gemma-3-12b",
            phase="loading weights",
            progress=0.4,
            share=0.39,
            seconds=31.0,
            left=48.0,
            usual=80.0,
            steps=(
                Step(name="imports done", usual=8.0, took=7.4),
                Step(name="loading weights", usual=45.0, is_now=True),
                Step(name="compiling", usual=20.0),
                Step(name="warming up", usual=7.0),
            ),
        ),
    ),
    waiting=2,
    max_length=1024,
    queue=(
        WaitingRow(
            model="gemma-3-12b",
            client="home",
            seconds=31.0,
            position=1,
            text="gemma-3-12b is loading weights, 40 %, about 50 s left.",
        ),
        WaitingRow(
            model="llama-70b", client="phone", seconds=4.0, position=2, text="Position 2 in the queue."
        ),
    ),
    requests=REQUESTS,
    requests_total=3,
    notices=("llama-70b: the engine ran out of memory. Lower context_length.",),
)


def large_view(models: int = 10_000, requests: int = 200) -> View:
    """A machine with many models and many requests."""
    return replace(
        VIEW,
        models=(*MODELS, *(replace(MODELS[-1], id=f"model-{number}") for number in range(models))),
        requests=tuple(replace(REQUESTS[0], id=f"req-{number}") for number in range(requests)),
        requests_total=requests,
    )
