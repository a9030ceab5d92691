"""What both screens show of a machine: a headline, the GPU, loads, the queue, requests, notices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from sparkd.cli.output.formatting import format_duration, format_short_duration
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
from sparkd.cli.screen.view import Gpu, LoadRow, RequestRow, View, WaitingRow
from sparkd.scheduling.forecast_text import describe_time

Block = list[Text]
"""The lines of one row."""

NARROW: Final = 60
"""Columns below which a row has two short lines in place of a long one."""

PHASE_STYLES: Final = {"queued": DIM, "loading": WARNING, "prefill": ACCENT, "decoding": GOOD}

REQUEST_COLUMNS: Final = (
    Column(name="model", heading="MODEL", width=12, wanted=16, share=2, limit=36),
    Column(name="client", heading="CLIENT", width=10, wanted=14, share=1, rank=3, limit=30),
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
    in_flight = sum(model.in_flight for model in view.models)
    parts = [f"{in_flight} in flight", f"{view.waiting} waiting"]
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


def render_loads(view: View, width: int, characters: Characters) -> list[Block]:
    """For each model that loads or is downloaded: the step, how far it is, and how long it usually takes."""
    return [_render_load(load, width, characters) for load in view.loads]


def _render_load(load: LoadRow, width: int, characters: Characters) -> Block:
    progress = "" if load.progress is None else f" {load.progress:.0%}".replace("%", " %")
    what = Text.assemble((clean(load.model), HEADING), " ", (f"{clean(load.phase)}{progress}", WARNING))
    times = [
        None if load.seconds is None else format_duration(load.seconds),
        None if load.left is None else f"{describe_time(load.left)} left",
        None if load.usual is None else f"usually {format_duration(load.usual)}",
    ]
    time = ", ".join(each for each in times if each)
    bar = _render_bar(load.share, min(24, width // 4), characters)
    if width < NARROW:
        lines = [what, Text.assemble("  ", bar, time)] if bar or time else [what]
        return [fit(line, width, characters) for line in lines]
    lines = [Text.assemble(bar, what, "  ", time)]
    if len(load.steps) > 1:
        lines.append(_render_steps(load, characters))
    return [fit(line, width, characters) for line in lines]


def _render_bar(share: float | None, width: int, characters: Characters) -> Text:
    """How far something is, with the gap after it. Empty if that is unknown."""
    if share is None:
        return Text()
    full = round(min(1.0, share) * width)
    return Text.assemble((characters.filled * full, ACCENT), (characters.empty * (width - full), DIM), "  ")


def _render_steps(load: LoadRow, characters: Characters) -> Text:
    """The steps: how long they took, then the present one, then how long the others usually take."""
    line = Text("  ")
    for number, step in enumerate(load.steps):
        line.append(f" {characters.pointer} " if number else "", DIM)
        if step.took is not None:
            line.append(f"{clean(step.name)} {format_duration(step.took)}")
            continue
        usual = "" if step.usual is None else f" ~{format_duration(step.usual)}"
        line.append(f"{clean(step.name)}{usual}", WARNING if step.is_now else DIM)
        line.append(" (now)" if step.is_now else "", WARNING)
    return line


def render_queue(view: View, width: int, characters: Characters) -> list[Block]:
    """What each request waits for, as sentences."""
    return [_render_waiting(row, width, characters) for row in view.queue]


def _render_waiting(row: WaitingRow, width: int, characters: Characters) -> Block:
    position = f"{row.position}." if row.position else ""
    since = "" if row.seconds is None else f" {format_duration(row.seconds)}"
    who = Text.assemble(f"{position:>3} ", (clean(row.model), HEADING), (f" {clean(row.client)}{since}", DIM))
    text = clean(row.text)
    if measure_cells(who) + 2 + len(text) <= width or width >= NARROW:
        return [fit(Text.assemble(who, "  ", text), width, characters)]
    return [fit(who, width, characters), fit(f"    {text}", width, characters)]


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


def cut_blocks(blocks: Sequence[Block], limit: int, characters: Characters, *, hidden: int = 0) -> list[Text]:
    """As many whole blocks as fit into `limit` lines; the last line says how many are missing, with `hidden` ones."""
    if not hidden and sum(map(len, blocks)) <= limit:
        return [line for block in blocks for line in block]
    lines = list[Text]()
    for number, block in enumerate(blocks):
        if len(lines) + len(block) > limit - 1:
            hidden += len(blocks) - number
            break
        lines += block
    return [*lines, Text(f"    {characters.ellipsis} {hidden} more", DIM)][: max(0, limit)]
