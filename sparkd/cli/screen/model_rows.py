"""Models as rows of a table."""

from __future__ import annotations

from typing import Final

from rich.text import Text

from sparkd.cli.output.formatting import format_short_duration, format_size, shorten_durations
from sparkd.cli.output.status_table import STYLES, TRANSITION_STYLE, describe_idle_time, describe_state
from sparkd.cli.screen.columns import Column, Layout, arrange
from sparkd.cli.screen.style import DIM, Characters
from sparkd.cli.screen.view import RESIDENT, View
from sparkd.scheduling.status import ModelStatus

MODEL_COLUMNS: Final = (
    Column(name="model", heading="MODEL", width=12, wanted=16, share=3, limit=44),
    Column(name="state", heading="STATE", width=10, wanted=14, share=4, limit=60),
    Column(name="speed", heading="TOK/S", width=6, right=True, rank=2),
    Column(name="requests", heading="REQ", width=4, right=True, rank=1),
    Column(name="waiting", heading="WAIT", width=4, right=True, rank=4),
    Column(name="since", heading="SINCE", width=7, right=True, rank=5),
    Column(name="idle", heading="IDLE LEFT", width=9, right=True, rank=6),
    Column(name="memory", heading="MEMORY", width=14, right=True, rank=3),
)


def model_layout(width: int, characters: Characters) -> Layout:
    """The columns of models that fit."""
    return arrange(MODEL_COLUMNS, width, characters)


def render_model_row(model: ModelStatus, view: View, layout: Layout) -> Text:
    """A model as a line."""
    style = STYLES.get(model.state, TRANSITION_STYLE)
    cells: dict[str, str | Text] = {
        "model": Text(model.id, DIM if style == DIM else ""),
        "state": Text(describe_state(model), style),
        "requests": str(model.in_flight) if model.in_flight else Text("0", DIM),
        "waiting": str(model.waiting) if model.waiting else Text("0", DIM),
        "idle": shorten_durations(describe_idle_time(model)),
    }
    if model.state != "stopped":
        cells["since"] = format_short_duration(model.state_seconds)
    if (speed := view.speed_of(model.id)) is not None:
        cells["speed"] = f"{speed:.1f}"
    if memory := describe_memory(model):
        cells["memory"] = Text(memory, "" if model.state in RESIDENT else DIM)
    return layout.render_row(cells)


def describe_memory(model: ModelStatus) -> str:
    """What it uses and has reserved, or what it would reserve. "" if that is unknown."""
    if not model.footprint and not model.memory_used:
        return ""
    if model.state in RESIDENT and model.memory_used is not None:
        used = format_size(model.memory_used).removesuffix(" GiB")
        return f"{used}/{format_size(model.footprint)}" if model.footprint else f"{used} GiB"
    return format_size(model.footprint)


def is_running(model: ModelStatus) -> bool:
    """Whether there is anything to see about it: it is in memory, has failed, or is waited for."""
    return model.state != "stopped" or bool(model.waiting or model.phase or model.holds)
