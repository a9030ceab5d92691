"""The live state of the control API as what the screens show: points in time become durations."""

from __future__ import annotations

from collections.abc import Mapping

from sparkd.cli.screen.view import Gpu, LoadRow, RequestRow, Step, View, WaitingRow
from sparkd.control.live.state import (
    LiveGpu,
    LiveLoad,
    LiveMachine,
    LiveModel,
    LiveState,
    QueueRow,
)
from sparkd.scheduling.forecast_text import describe_time
from sparkd.scheduling.hold import HoldStatus
from sparkd.scheduling.status import MemoryStatus, ModelStatus
from sparkd.usage.active import ActiveRequest


def build_view(state: LiveState, now: float, others: Mapping[str, ModelStatus]) -> View:
    """The state at `now`, the daemon's time. `others` are the models of the catalogue that may not be in it."""
    machine, queue, in_flight = state.machine, state.queue, state.in_flight
    live = {id_: build_model(row, now, others.get(id_)) for id_, row in state.models.items()}
    return View(
        version=machine.version,
        name=machine.name,
        state=machine.state,
        uptime=_since(machine.uptime_since, now),
        memory=_build_memory(machine),
        system=machine.memory.system,
        gpu=None if machine.gpu is None else _build_gpu(machine.gpu),
        notices=(
            *(notice.text for notice in machine.notices),
            *(f"{row.id}: {row.cause}" for row in live.values() if row.state == "backoff" and row.cause),
        ),
        models=(*live.values(), *(row for id_, row in others.items() if id_ not in live)),
        loads=tuple(_build_load(row, row.load, now) for row in state.models.values() if row.load)
        + tuple(_build_download(row, now) for row in state.models.values() if row.download),
        waiting=queue.waiting,
        max_length=queue.max_length,
        on_busy=queue.on_busy,
        queue=tuple(_build_waiting(row, now) for row in queue.rows),
        requests=tuple(_build_request(row, now) for row in in_flight.rows),
        requests_total=in_flight.total,
    )


def build_model(row: LiveModel, now: float, earlier: ModelStatus | None) -> ModelStatus:
    """A row as the status of a model, with what only an `earlier` status knows."""
    load, download = row.load, row.download
    return ModelStatus(
        id=row.id,
        state=row.state,
        quarantined=row.quarantined,
        state_seconds=_since(row.since, now),
        in_flight=row.in_flight,
        waiting=row.waiting,
        idle_seconds_left=_left(row.idle_at, now),
        footprint=row.footprint,
        basis=row.basis,
        memory_used=row.memory_used,
        phase=load.phase if load else "downloading" if download else None,
        progress=load.progress if load else _share(row),
        cause=row.cause,
        retry_after=_left(row.retry_at, now),
        load_time=row.load_time,
        declared=earlier.declared if earlier else None,
        learned=earlier.learned if earlier else None,
        last_run=earlier.last_run if earlier else None,
        rejected_requests=earlier.rejected_requests if earlier else (),
        start=None if load is None else "warm" if load.warm else "cold",
        cold_reason=row.cold_reason,
        lifecycle=row.lifecycle,
        pinned=row.pinned,
        holds=tuple(
            HoldStatus(
                id=hold.id,
                model=row.id,
                seconds_left=max(0.0, hold.until - now),
                owner=hold.owner,
                job=hold.job,
                reason=hold.reason,
            )
            for hold in row.holds
        ),
    )


def _build_memory(machine: LiveMachine) -> MemoryStatus:
    memory = machine.memory
    return MemoryStatus(
        total=memory.total,
        reserve=memory.reserve,
        budget=memory.budget,
        reserved=memory.reserved,
        floor=memory.floor,
        available=memory.available,
        leaked=memory.leaked,
        launchers=memory.launchers,
    )


def _build_gpu(gpu: LiveGpu) -> Gpu:
    return Gpu(
        name=gpu.name,
        utilization=gpu.utilization,
        temperature=gpu.temperature,
        power=gpu.power,
        clock=gpu.clock,
        throttled=", ".join(gpu.throttled or ()),
    )


def _build_load(row: LiveModel, load: LiveLoad, now: float) -> LoadRow:
    elapsed, left = _since(load.began, now), _left(load.ready_at, now)
    if left is not None:
        share: float | None = elapsed / max(elapsed + left, 0.001)
    else:
        share = min(0.99, elapsed / load.usual) if load.usual else None
    return LoadRow(
        model=row.id,
        phase=load.phase or "starting",
        progress=load.progress,
        share=share,
        seconds=elapsed,
        left=left,
        usual=load.usual,
        steps=tuple(
            Step(name=each.name, usual=each.usual, took=each.took, is_now=each.name == load.phase)
            for each in load.phases
        ),
    )


def _build_download(row: LiveModel, now: float) -> LoadRow:
    download = row.download
    ends_at = download.ends_at if download else None
    share = _share(row)
    return LoadRow(
        model=row.id,
        phase=download.step if download else "",
        progress=share,
        share=share,
        left=_left(ends_at, now),
    )


def _build_waiting(row: QueueRow, now: float) -> WaitingRow:
    left = _left(row.ready_at, now)
    text = row.text if left is None else f"{row.text.rstrip('.')}, {describe_time(left)} left."
    if row.background:
        text = f"{text} In the background."
    return WaitingRow(
        model=row.model,
        client=row.client,
        seconds=_since(row.arrived, now),
        position=row.position,
        text=text.strip(),
    )


def _build_request(row: ActiveRequest, now: float) -> RequestRow:
    return RequestRow(
        id=row.id,
        model=row.model,
        asked=row.asked,
        client=row.client,
        program=row.program,
        endpoint=row.endpoint,
        streamed=row.streamed,
        phase=row.phase,
        seconds=_since(row.began, now),
        phase_seconds=_since(row.phase_since, now),
        tokens_in=row.tokens_in,
        tokens_out=row.tokens_out,
        speed=row.speed,
    )


def _share(row: LiveModel) -> float | None:
    return row.download.done / row.download.total if row.download and row.download.total else None


def _since(then: float, now: float) -> float:
    return max(0.0, now - then)


def _left(then: float | None, now: float) -> float | None:
    return None if then is None else max(0.0, then - now)
