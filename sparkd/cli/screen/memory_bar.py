"""The machine's memory as one bar: system, models as reserved and as measured, free, reserve, the guard's floor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Final

from msgspec import Struct
from rich.text import Text

from sparkd.cli.output.formatting import format_size
from sparkd.cli.screen.style import BAD, DIM, WARNING, Characters, clean, measure_cells
from sparkd.cli.screen.view import RESIDENT, View
from sparkd.scheduling.status import ModelStatus

MODEL_STYLES: Final = ("cyan", "green", "magenta", "blue", "yellow")


class _Segment(Struct, frozen=True):
    """A part of the bar: bytes, and how its cells look."""

    size: int
    character: str
    style: str


class _Entry(Struct, frozen=True):
    """A part of the legend."""

    mark: str
    style: str
    text: str


def render_memory(view: View, width: int, characters: Characters, *, legend_lines: int = 3) -> list[Text]:
    """The bar and at most `legend_lines` lines that explain it."""
    segments, entries = _divide(view, characters)
    total = view.memory.total
    bar = _draw_bar(segments, total, width)
    if 0 < view.memory.floor < total:
        place = min(width - 1, round((total - view.memory.floor) / total * width))
        bar = Text.assemble(bar[:place], Text(characters.floor, BAD), bar[place + 1 :])
        entries.append(_Entry(characters.floor, BAD, f"floor {format_size(view.memory.floor)}"))
    return [bar, *_flow(entries, width, legend_lines, characters)]


def _divide(view: View, characters: Characters) -> tuple[list[_Segment], list[_Entry]]:
    memory = view.memory
    system = view.system
    segments, entries = list[_Segment](), list[_Entry]()

    def add(size: int, mark: str, style: str, name: str) -> None:
        if size > 0:
            segments.append(_Segment(size, mark, style))
            entries.append(_Entry(mark, style, f"{name} {format_size(size)}"))

    add(system or 0, characters.system, WARNING, "system")
    if system is None:
        entries.append(_Entry(characters.system, WARNING, "system unknown"))
    marks = cycle((characters.measured, "▓" if characters.measured == "█" else "="))
    for model, style, mark in zip(
        (model for model in view.models if model.state in RESIDENT), cycle(MODEL_STYLES), marks, strict=False
    ):
        segments += _divide_model(model, mark, style, characters)
        entries.append(_Entry(mark, style, f"{model.id} {_describe_use(model)}"))
    add(memory.launchers, characters.system, DIM, "launchers")
    add(memory.leaked, characters.system, BAD, "leaked until a reboot")
    reserve = max(0, memory.reserve - (system or 0))
    free = max(0, memory.total - sum(segment.size for segment in segments) - reserve)
    entries.append(_Entry(characters.free, DIM, f"free {format_size(free)}"))
    segments.append(_Segment(free, characters.free, DIM))
    add(reserve, characters.reserve, DIM, "reserve")
    return segments, entries


def _divide_model(model: ModelStatus, mark: str, style: str, characters: Characters) -> Iterator[_Segment]:
    used = model.memory_used or 0
    yield _Segment(used, mark, style)
    yield _Segment(max(0, model.footprint - used), characters.reserved, style)


def _describe_use(model: ModelStatus) -> str:
    if model.memory_used is None:
        return f"{format_size(model.footprint)} reserved"
    if model.footprint:
        return f"{format_size(model.memory_used).removesuffix(' GiB')} of {format_size(model.footprint)}"
    return format_size(model.memory_used)


def _draw_bar(segments: Sequence[_Segment], total: int, width: int) -> Text:
    """Cells in proportion; each part ends where the sum of the parts so far ends, so that errors do not add up."""
    bar, done, cells = Text(), 0, 0
    scale = max(total, sum(segment.size for segment in segments), 1)
    for segment in segments:
        done += segment.size
        end = round(done / scale * width)
        bar.append(segment.character * (end - cells), segment.style)
        cells = max(cells, end)
    bar.append(" " * (width - cells))
    return bar


def _flow(entries: Sequence[_Entry], width: int, limit: int, characters: Characters) -> list[Text]:
    """The legend in lines of at most `width` cells; says how many parts did not fit."""
    lines, line = list[Text](), Text()
    for number, entry in enumerate(entries):
        piece = Text.assemble((entry.mark, entry.style), " ", clean(entry.text))
        length = measure_cells(piece)
        if line and measure_cells(line) + 3 + length > width:
            if len(lines) + 1 >= limit:
                rest = f"{characters.ellipsis} {len(entries) - number} more"
                if measure_cells(line) + 3 + len(rest) <= width:
                    line.append(f"   {rest}", DIM)
                break
            lines.append(line)
            line = Text()
        if line:
            line.append("   ")
        line.append_text(piece)
    return [*lines, line][:limit]
