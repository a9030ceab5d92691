"""The whole machine on one screen: what `sparkctl status --watch` shows."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from rich.text import Text

from sparkd.cli.output.formatting import format_count
from sparkd.cli.screen.memory_bar import render_memory
from sparkd.cli.screen.model_rows import is_running, model_layout, render_model_row
from sparkd.cli.screen.sections import (
    cut_lines,
    render_gpu,
    render_headline,
    render_loads,
    render_notices,
    render_queue,
    render_request,
    request_layout,
)
from sparkd.cli.screen.style import DIM, HEADING, Characters
from sparkd.cli.screen.view import View


class _Section(Struct, frozen=True):
    """Lines with a heading. `least` lines of it are shown before other sections get more."""

    heading: Text
    lines: Sequence[Text]
    least: int
    hidden: int = 0


def render_overview(
    view: View, problem: str, size: tuple[int, int], characters: Characters, *, disabled_too: bool
) -> list[Text]:
    """The lines of the screen, as many as fit."""
    width, height = size
    top = [render_headline(view, problem, width, characters)]
    top += render_memory(view, width, characters, legend_lines=3 if height >= 20 else 1)
    top += render_gpu(view.gpu, width, characters)
    notices = render_notices(view, width, characters)[: max(1, height // 6)]
    sections = [
        section
        for section in (
            _loads(view, width, characters),
            _queue(view, width, characters, height),
            _models(view, width, characters, height, disabled_too=disabled_too),
            _requests(view, width, characters, height),
        )
        if section.lines
    ]
    room = height - len(top) - len(notices)
    lines = [*top, *notices]
    spaced = room >= sum(2 + min(len(section.lines), section.least) for section in sections)
    for section, count in zip(sections, _share_room(sections, room, spaced=spaced), strict=True):
        if count > 0:
            lines += [Text()] if spaced else []
            lines += [section.heading]
            lines += cut_lines(section.lines, count, characters, hidden=section.hidden)
    return lines[:height]


def _share_room(sections: Sequence[_Section], room: int, *, spaced: bool) -> list[int]:
    """How many lines each section gets besides its heading: first what it needs at least, then one after the other."""
    counts = [0] * len(sections)
    over = 2 if spaced else 1
    for number, section in enumerate(sections):
        least = min(len(section.lines) + bool(section.hidden), section.least)
        counts[number] = max(0, min(least, room - over))
        room -= counts[number] + over if counts[number] else 0
    while room > 0:
        growing = [
            number
            for number, section in enumerate(sections)
            if counts[number] and counts[number] < len(section.lines) + bool(section.hidden)
        ]
        if not growing:
            break
        for number in growing[:room]:
            counts[number] += 1
            room -= 1
    return counts


def _loads(view: View, width: int, characters: Characters) -> _Section:
    return _Section(Text("LOADING", HEADING), render_loads(view, width, characters), 2)


def _queue(view: View, width: int, characters: Characters, height: int) -> _Section:
    limit = f" (limit {view.max_length})" if view.on_busy == "wait" else " (off)"
    heading = Text.assemble(
        ("QUEUE  ", HEADING), (f"{format_count(view.waiting, 'request')} waiting{limit}", DIM)
    )
    return _Section(heading, render_queue(view, width, characters, height), 2)


def _models(view: View, width: int, characters: Characters, height: int, *, disabled_too: bool) -> _Section:
    layout = model_layout(width, characters)
    shown = [model for model in view.models if model.enabled or disabled_too]
    shown.sort(key=lambda model: not is_running(model))
    lines = [render_model_row(model, view, layout) for model in shown[:height]]
    heading = layout.render_heading()
    return _Section(heading, lines, 4, hidden=max(0, len(shown) - height))


def _requests(view: View, width: int, characters: Characters, height: int) -> _Section:
    layout = request_layout(width, characters)
    rows = view.requests or ()
    lines = [render_request(row, layout) for row in rows[:height]]
    return _Section(layout.render_heading(), lines, 3, hidden=max(0, view.requests_total - len(lines)))
