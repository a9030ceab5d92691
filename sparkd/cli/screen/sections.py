"""What both screens show of a machine: a headline, the GPU, loads, the queue, requests, notices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from sparkd.cli.output.formatting import format_count, format_duration, format_short_duration
from sparkd.cli.screen.columns import Column, Layout, arrange
from sparkd.cli.screen.style import (
    ACCENT,
    BAD,
    DIM,
    GOOD,
    HEADING,
    WARNING,
    Characters,
    clean,
    fit,
    measure_cells,
)
from sparkd.cli.screen.view import Gpu, RequestRow, View
from sparkd.scheduling.forecast_text import describe_time
from sparkd.scheduling.status import ModelStatus

PHASE_STYLES: Final = {"queued": DIM, "loading": WARNING, "prefill": ACCENT, "decoding": GOOD}

REQUEST_COLUMNS: Final = (
    Column(name="model", heading="MODEL", width=14, share=2, limit=36),
    Column(name="client", heading="CLIENT", width=13, share=1, rank=3, limit=30),
    Column(name="phase", heading="PHASE", width=8),
    Column(name="in", heading="IN", width=6, right=True, rank=4),
    Column(name="out", heading="OUT", width=6, right=True, rank=1),
    Column(name="speed", heading="TOK/S", width=6, right=True),
    Column(name="age", heading="AGE", width=7, right=True, rank=2),
    Column(name="endpoint", heading="ENDPOINT", width=20, rank=6, limit=24),
    Column(name="id", heading="REQUEST", width=12, share=1, rank=5, limit=40),
)


def render_headline(view: View, problem: str, width: int, characters: Characters) -> Text:
    """Which machine it is, its state, and whether the figures are old: `problem` says why."""
    parts = [f"sparkd {view.version}", view.name, view.state, f"up {format_duration(view.uptime)}"]
    left = Text(characters.separator.join(clean(part) for part in parts if part), HEADING)
    right = Text(f" {problem} ", f"reverse {BAD}") if problem else Text(_summarize(view, characters), DIM)
    room = width - measure_cells(right) - 2
    if room < 12:
        return fit(right if problem else left, width, characters)
    return Text.assemble(fit(left, room, characters), "  ", right)


def _summarize(view: View, characters: Characters) -> str:
    parts = []
    if view.requests is not None:
        in_flight = view.requests_total - sum(row.phase in ("queued", "loading") for row in view.requests)
        parts.append(f"{max(0, in_flight)} in flight")
    else:
        parts.append(f"{sum(model.in_flight for model in view.models)} in flight")
    parts.append(f"{view.waiting} waiting")
    if view.speed is not None:
        parts.append(f"{view.speed:.1f} tok/s")
    return characters.separator.join(parts)


def render_gpu(gpu: Gpu | None, width: int, characters: Characters) -> list[Text]:
    """One line, or none if the machine has no GPU that reports anything."""
    if gpu is None:
        return []
    figures = [
        "use unknown" if gpu.utilization is None else f"{gpu.utilization:.0%}".replace("%", " %"),
        None if gpu.temperature is None else f"{gpu.temperature:.0f} {characters.degree}",
        None if gpu.power is None else f"{gpu.power:.0f} W",
        None if gpu.clock is None else f"{gpu.clock / 1e6:.0f} MHz",
    ]
    line = Text(f"GPU {characters.separator.join(each for each in figures if each)}")
    if gpu.throttled:
        line.append(f"{characters.separator}slowed down: {clean(gpu.throttled)}", BAD)
    return [fit(line, width, characters)]


def render_loads(view: View, width: int, characters: Characters) -> list[Text]:
    """For each model that loads or is downloaded: the step, how far it is, and how long it usually takes."""
    lines = list[Text]()
    for model in view.models:
        if model.state == "starting" or (model.state == "stopped" and model.phase):
            lines += _render_load(model, width, characters)
    return lines


def _render_load(model: ModelStatus, width: int, characters: Characters) -> list[Text]:
    seconds = model.forecast.seconds if model.forecast else model.download_seconds_left
    share = _share_of_load(model, seconds)
    left = "" if seconds is None else f", {describe_time(seconds)} left"
    usual = model.last_run.load_time if model.last_run else model.load_time
    usually = f" (usually {format_duration(usual)})" if usual and model.state == "starting" else ""
    step = clean(model.phase or "starting")
    progress = "" if model.progress is None else f" {model.progress:.0%}".replace("%", " %")
    text = Text.assemble(
        (clean(model.id), HEADING),
        " ",
        (f"{step}{progress}", WARNING),
        f"  {format_duration(model.state_seconds)}{left}{usually}",
    )
    bar_width = min(24, width // 4)
    if share is None or bar_width < 8:
        lines = [fit(text, width, characters)]
    else:
        full = round(share * bar_width)
        bar = Text.assemble(
            (characters.filled * full, ACCENT), (characters.empty * (bar_width - full), DIM), "  "
        )
        lines = [fit(Text.assemble(bar, text), width, characters)]
    steps = _render_steps(model, characters)
    return [*lines, fit(steps, width, characters)] if steps else lines


def _share_of_load(model: ModelStatus, seconds_left: float | None) -> float | None:
    """How far a load is, 0 to 1: by the time left, or by the usual time. None if neither is known."""
    if model.state == "stopped":
        return model.progress
    if seconds_left is not None:
        return model.state_seconds / max(model.state_seconds + seconds_left, 0.001)
    usual = model.last_run.load_time if model.last_run else model.load_time
    return min(0.99, model.state_seconds / usual) if usual else None


def _render_steps(model: ModelStatus, characters: Characters) -> Text | None:
    """The steps of the last load with their times; the present one is marked."""
    if model.last_run is None or model.state != "starting" or len(model.last_run.phases) < 2:
        return None
    line = Text("  ")
    for number, (phase, seconds) in enumerate(model.last_run.phases.items()):
        line.append(f" {characters.pointer} " if number else "", DIM)
        is_now = phase == model.phase
        line.append(f"{clean(phase)} {format_duration(seconds)}", WARNING if is_now else DIM)
        line.append(" (now)" if is_now else "")
    return line


def render_queue(view: View, width: int, characters: Characters, limit: int) -> list[Text]:
    """What each request waits for, as sentences; at most `limit` lines."""
    lines = list[Text]()
    for row in view.queue:
        position = f"{row.position}." if row.position else " "
        who = f" {clean(row.client)}" if row.client else ""
        count = f" ({format_count(row.count, 'request')})" if row.count > 1 else ""
        since = f" {format_duration(row.seconds)}" if row.seconds is not None else ""
        line = Text.assemble(
            f"{position:>3} ",
            (clean(row.model), HEADING),
            count,
            (f"{who}{since}", DIM),
            "  ",
            clean(row.text),
        )
        lines.append(fit(line, width, characters))
    return cut_lines(
        lines, limit, characters, hidden=max(0, view.waiting - sum(row.count for row in view.queue))
    )


def request_layout(width: int, characters: Characters) -> Layout:
    """The columns of requests that fit."""
    return arrange(REQUEST_COLUMNS, width, characters)


def render_request(row: RequestRow, layout: Layout) -> Text:
    """A request as a line."""
    return layout.render_row(
        {
            "model": row.model,
            "client": row.client if not row.program else f"{row.client}/{row.program}",
            "phase": Text(row.phase, PHASE_STYLES.get(row.phase, "")),
            "age": format_short_duration(row.seconds),
            "endpoint": row.endpoint,
            "id": row.id,
            **({} if row.tokens_in is None else {"in": str(row.tokens_in)}),
            **({} if row.tokens_out is None else {"out": str(row.tokens_out)}),
            **({} if row.speed is None else {"speed": f"{row.speed:.1f}"}),
        }
    )


def render_notices(view: View, width: int, characters: Characters) -> list[Text]:
    """What the owner should know."""
    return [fit(Text(f"! {clean(text)}", BAD), width, characters) for text in view.notices]


def cut_lines(lines: Sequence[Text], limit: int, characters: Characters, *, hidden: int = 0) -> list[Text]:
    """At most `limit` lines; the last one says how many are missing, with the `hidden` ones."""
    missing = hidden + max(0, len(lines) - limit)
    if not missing:
        return list(lines)
    if limit <= 0:
        return []
    if len(lines) >= limit:
        missing = hidden + len(lines) - limit + 1
        lines = lines[: limit - 1]
    return [*lines, Text(f"    {characters.ellipsis} {missing} more", DIM)]
