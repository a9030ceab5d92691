"""The whole machine on one screen: what `sparkctl status --watch` shows."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from rich.console import Group
from rich.text import Text

from sparkd.cli.output.formatting import format_count
from sparkd.cli.output.status_table import render_facts
from sparkd.cli.screen.memory_bar import render_memory
from sparkd.cli.screen.model_rows import is_running, model_layout, render_model_row
from sparkd.cli.screen.sections import (
    NARROW,
    Block,
    cut_blocks,
    render_gpu,
    render_headline,
    render_loads,
    render_notices,
    render_queue,
    render_request,
    request_layout,
)
from sparkd.cli.screen.style import DIM, HEADING, Characters
from sparkd.cli.screen.text import render_lines
from sparkd.cli.screen.view import View
from sparkd.scheduling.status import ModelStatus


class _Section(Struct, frozen=True):
    """Rows with a heading. `least` lines are shown before other sections get more. `hidden` counts further rows."""

    heading: Text
    blocks: Sequence[Block]
    least: int
    hidden: int = 0

    @property
    def length(self) -> int:
        """The lines that it would like to have, besides its heading."""
        return sum(map(len, self.blocks)) + bool(self.hidden)


def render_overview(
    view: View,
    problem: str,
    size: tuple[int, int],
    characters: Characters,
    *,
    disabled_too: bool,
    only: str | None = None,
) -> list[Text]:
    """The lines of the screen, as many as fit. `only`: what is about this model, and more about it."""
    width, height = size
    shown = view.only(only) if only else view
    top = [render_headline(view, problem, width, characters)]
    top += render_memory(view, width, characters, legend_lines=_legend_lines(width, height))
    top += render_gpu(view.gpu, width, characters)
    notices = render_notices(view, width, characters)[: max(1, height // 6)]
    sections = [
        section
        for section in (
            _loads(shown, width, characters),
            _queue(shown, width, characters),
            _models(shown, width, characters, height, disabled_too=disabled_too),
            _facts(shown.models if only else (), width),
            _requests(shown, width, characters, height),
        )
        if section.blocks
    ]
    room = height - len(top) - len(notices)
    lines = [*top, *notices]
    spaced = room >= sum(2 + min(section.length, section.least) for section in sections)
    for section, count in zip(sections, _share_room(sections, room, spaced=spaced), strict=True):
        if count > 0:
            lines += [Text()] if spaced else []
            lines += [section.heading]
            lines += cut_blocks(section.blocks, count, characters, hidden=section.hidden)
    return lines[:height]


def _legend_lines(width: int, height: int) -> int:
    """How many lines explain the memory bar."""
    if height < 20:
        return 1
    return 3 if width >= NARROW else min(6, height // 5)


def _share_room(sections: Sequence[_Section], room: int, *, spaced: bool) -> list[int]:
    """How many lines each section gets besides its heading: first what it needs at least, then one after the other."""
    counts = [0] * len(sections)
    over = 2 if spaced else 1
    for number, section in enumerate(sections):
        least = min(section.length, section.least)
        counts[number] = max(0, min(least, room - over))
        room -= counts[number] + over if counts[number] else 0
    while room > 0:
        growing = [number for number, section in enumerate(sections) if 0 < counts[number] < section.length]
        if not growing:
            break
        for number in growing[:room]:
            counts[number] += 1
            room -= 1
    return counts


def _loads(view: View, width: int, characters: Characters) -> _Section:
    return _Section(Text("LOADING", HEADING), render_loads(view, width, characters), 2)


def _queue(view: View, width: int, characters: Characters) -> _Section:
    limit = f" (limit {view.max_length})" if view.on_busy == "wait" else " (off)"
    heading = Text.assemble(
        ("QUEUE  ", HEADING), (f"{format_count(view.waiting, 'request')} waiting{limit}", DIM)
    )
    hidden = max(0, view.waiting - len(view.queue))
    return _Section(heading, render_queue(view, width, characters), 2, hidden)


def _models(view: View, width: int, characters: Characters, height: int, *, disabled_too: bool) -> _Section:
    layout = model_layout(width, characters)
    shown = [model for model in view.models if model.enabled or disabled_too]
    shown.sort(key=lambda model: not is_running(model))
    blocks = [[render_model_row(model, view, layout)] for model in shown[:height]]
    heading = layout.render_heading()
    return _Section(heading, blocks, 4, hidden=max(0, len(shown) - height))


def _facts(models: Sequence[ModelStatus], width: int) -> _Section:
    blocks = [[line] for model in models for line in render_lines(Group(*render_facts(model)), width)]
    return _Section(Text("DETAILS", HEADING), [block for block in blocks if block[0].plain], 2)


def _requests(view: View, width: int, characters: Characters, height: int) -> _Section:
    layout = request_layout(width, characters)
    rows = view.requests
    blocks = [[render_request(row, layout)] for row in rows[:height]]
    return _Section(layout.render_heading(), blocks, 3, hidden=max(0, view.requests_total - len(blocks)))
