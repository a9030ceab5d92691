"""The table of `sparkctl status`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sparkd.cli.output.formatting import format_count, format_duration, format_size
from sparkd.scheduling.forecast_text import describe_time
from sparkd.scheduling.status import MemoryStatus, ModelStatus, RejectedRequest, Status

STYLES = {"ready": "green", "backoff": "red", "stopped": "dim"}
TRANSITION_STYLE = "yellow"


def render_status(status: Status, *, disabled_too: bool) -> Group:
    """The whole daemon: lines about the machine, a row for each model (running ones first), and why models failed."""
    shown = [model for model in status.models if model.enabled or disabled_too]
    shown.sort(key=lambda model: describe_state(model) in ("stopped", "disabled"))
    hidden = len(status.models) - len(shown)
    parts: list[RenderableType] = [
        *_render_machine(status),
        Text(),
        _render_models(shown),
        *_render_failures(shown),
        *_render_launchers(status),
    ]
    if not shown:
        parts[-1:] = [Text("The catalogue has no models." if not hidden else "Every model is disabled.")]
    if hidden:
        parts += [
            Text(),
            Text(f"{format_count(hidden, 'disabled model')} not shown; --all shows them.", "dim"),
        ]
    return Group(*parts)


def render_model(model: ModelStatus) -> Group:
    """One model."""
    return Group(_render_models([model]), *render_facts(model), *_render_failures([model]))


def render_facts(model: ModelStatus) -> list[Text]:
    """What is known about the model's memory, its last run, and how its process was started."""
    return [*_render_memory(model), *_render_start(model)]


def _render_memory(model: ModelStatus) -> list[Text]:
    """The model's memory, and its last run."""
    known = (
        ("declared", model.declared),
        ("learned", model.learned),
        ("used now", model.memory_used),
        ("host memory now", model.host_memory),
        ("host memory at most", model.host_memory_peak),
    )
    figures = [f"{name} {format_size(count)}" for name, count in known if count is not None]
    lines = [Text(), Text(f"memory: {', '.join(figures)}")] if figures else []
    if (last := model.last_run) is not None:
        steps = ", ".join(f"{phase} {format_duration(seconds)}" for phase, seconds in last.phases.items())
        lines.append(
            Text(
                f"last run: at most {format_size(last.peak)}, {format_size(last.final)} in the end; ready after "
                f"{format_duration(last.load_time)}{f' ({steps})' if steps else ''}"
            )
        )
    return lines


def _render_start(model: ModelStatus) -> list[Text]:
    """How its process was started."""
    if model.start is None:
        return []
    return [Text("start: warm" if model.start == "warm" else f"start: cold, because {model.cold_reason}")]


_STATE_NAMES: Final = {"starting": "loading", "draining": "finishing", "backoff": "failed"}


def describe_state(model: ModelStatus) -> str:
    """A model's state with details, named as on the page: "loading weights 40 %", "quarantined"."""
    if not model.enabled:
        return "disabled"
    if model.quarantined:
        return "quarantined"
    if model.state == "backoff" and model.retry_after is not None:
        return f"failed, retry in {format_duration(model.retry_after)}"
    if model.phase and model.state in ("starting", "stopped"):
        share = "" if model.progress is None else f" {model.progress:.0%}".replace("%", " %")
        is_named = model.state != "starting" or model.phase.startswith("loading")
        return f"{'' if is_named else 'loading: '}{model.phase}{share}{_time_left(model)}"
    if model.state == "stopped" and model.forecast is not None and model.forecast.position is not None:
        return f"waiting: position {model.forecast.position} in the queue{_time_left(model)}"
    return name_state(model.state)


def name_state(state: str) -> str:
    """The name of a state for people, as on the page: "loading" is the control API's "starting"."""
    return _STATE_NAMES.get(state, state)


def _time_left(model: ModelStatus) -> str:
    """How long its download takes yet, or how long until it is ready."""
    if model.download_seconds_left is not None:
        return f", {format_duration(model.download_seconds_left)} left"
    seconds = model.forecast.seconds if model.forecast else None
    return "" if seconds is None else f", {describe_time(seconds)} left"


def describe_rejected(request: RejectedRequest) -> str:
    """A request that made its engine fail, and what became of those like it."""
    fields = f" (its {' and '.join(request.fields)})" if request.fields else ""
    like = "requests of its shape" if request.level == "shape" else "its repetitions"
    return (
        f"request {request.request_id} made the engine fail {format_count(request.crashes, 'time')}{fields}; {like} "
        f"are rejected for another {format_duration(request.seconds_left)}, {request.rejected} so far"
    )


def _render_machine(status: Status) -> list[Text]:
    memory, queue = status.memory, status.queue
    listeners = ", ".join(status.listen) or "no socket"
    waiting = (
        "no requests waiting" if not queue.waiting else f"{format_count(queue.waiting, 'request')} waiting"
    )
    queue_text = (
        f"limit {queue.max_length}"
        if queue.on_busy == "wait"
        else "off: requests for a busy machine are refused"
    )
    return [
        Text(f"sparkd {status.version} on {listeners}, up {format_duration(status.uptime)}"),
        Text(
            f"memory: {format_size(memory.reserved)} of {format_size(memory.budget)} reserved, "
            f"{format_size(memory.reserve)} kept for the system{_render_availability(memory)}"
        ),
        Text(f"queue: {waiting} ({queue_text})"),
        *([Text(f"warning: {status.describe_exposure()}", "red")] if status.exposed else []),
    ]


def _render_availability(memory: MemoryStatus) -> str:
    """What the machine itself reports."""
    available = "" if memory.available is None else f", {format_size(memory.available)} available now"
    launchers = f", {format_size(memory.launchers)} used by launchers" if memory.launchers else ""
    leaked = f", {format_size(memory.leaked)} leaked until the next reboot" if memory.leaked else ""
    return available + launchers + leaked


def _render_launchers(status: Status) -> list[Text]:
    """The launchers, and why there is none for a runtime."""
    lines = []
    for launcher in status.launchers:
        if launcher.state == "off":
            lines.append(
                Text(
                    f"launcher {launcher.runtime}: off until it is rebuilt, because {launcher.reason}", "red"
                )
            )
            continue
        memory = f", {format_size(launcher.memory)}" if launcher.memory else ""
        starts = f", {format_count(launcher.starts, 'start')}" if launcher.starts else ""
        lines.append(Text(f"launcher {launcher.runtime}: {launcher.state}{memory}{starts}", "dim"))
    return [Text(), *lines] if lines else []


def _render_models(models: Sequence[ModelStatus]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("MODEL", overflow="fold")
    table.add_column("STATE", overflow="fold")
    for heading in ("SINCE", "IN FLIGHT", "WAITING", "IDLE LEFT", "MEMORY"):
        table.add_column(heading, justify="right", no_wrap=True)
    for model in models:
        style = STYLES.get(model.state, TRANSITION_STYLE)
        table.add_row(
            Text(model.id, "dim" if style == "dim" else ""),
            Text(describe_state(model), style),
            format_duration(model.state_seconds),
            str(model.in_flight or "-"),
            str(model.waiting or "-"),
            describe_idle_time(model),
            format_size(model.footprint) if model.footprint else "-",
        )
    return table


def describe_idle_time(model: ModelStatus) -> str:
    """When a ready model is stopped for idleness, or why it is not."""
    if model.state != "ready":
        return "-"
    if model.holds:
        return f"held {format_duration(max(hold.seconds_left for hold in model.holds))}"
    if model.pinned:
        return "pinned"
    if model.idle_seconds_left is not None:
        return format_duration(model.idle_seconds_left)
    return "in use" if model.in_flight else "never"


def _render_failures(models: Sequence[ModelStatus]) -> list[Text]:
    """Why models failed, and the requests that are rejected because they made a model fail."""
    failed = [model for model in models if model.cause and model.state == "backoff"]
    lines = [Text(f"{model.id}: {model.cause}", "red") for model in failed]
    lines += [Text(f"  then run `sparkctl retry {model.id}`") for model in failed if model.quarantined]
    for model in models:
        lines += [Text(f"{model.id}: {describe_rejected(each)}", "red") for each in model.rejected_requests]
    lines += [
        Text(f"  `sparkctl retry {model.id}` has them accepted")
        for model in models
        if model.rejected_requests
    ]
    return [Text(), *lines] if lines else []
