"""A description of the keys of `sparkctl top`."""

from __future__ import annotations

from typing import Final

from rich.text import Text

from sparkd.cli.screen.style import ACCENT, DIM, HEADING, Characters, fit, measure_cells

HELP: Final = (
    ("↑ ↓ j k", "select a row; Page Up, Page Down, Home and End go further"),
    ("Tab", "change between models and requests"),
    ("Enter", "show the model with its log, or the request"),
    ("Esc", "go back; end the filter"),
    ("l", "load the model"),
    ("s", "stop the model after its responses in progress"),
    ("r", "let a failed model start again"),
    ("p", "show the plan: what loading the model would do"),
    ("c", "cancel the request"),
    ("/", "show only rows that contain a text"),
    ("a", "show only models that do something, or all"),
    ("o O", "sort by the next column; reverse the order"),
    ("T M A", "sort by tokens per second, memory, or age"),
    ("?", "show this help"),
    ("q", "quit"),
)

MODEL_KEYS: Final = (
    "l load",
    "s stop",
    "Enter details",
    "p plan",
    "r retry",
    "/ filter",
    "o sort",
    "Tab requests",
    "? help",
    "q quit",
)
REQUEST_KEYS: Final = (
    "c cancel",
    "Enter details",
    "/ filter",
    "o sort",
    "Tab models",
    "s stop its model",
    "? help",
    "q quit",
)
PANEL_KEYS: Final = ("Esc back", "? help", "q quit")


def draw_help(characters: Characters) -> list[Text]:
    """What the keys do."""
    is_ascii = characters.pointer == ">"
    lines = [Text("Keys of sparkctl top", HEADING), Text()]
    for key, purpose in HELP:
        name = key.replace("↑ ↓", "up down") if is_ascii else key
        lines.append(Text.assemble((f"{name:<14}", ACCENT), purpose))
    return lines


def draw_keys(keys: tuple[str, ...], width: int, characters: Characters) -> Text:
    """As many of the keys as fit on one line; the last two always."""
    kept, must = list[str](), keys[-2:]
    for key in keys[:-2]:
        if measure_cells("  ".join([*kept, key, *must])) > width:
            break
        kept.append(key)
    return fit(Text("  ".join([*kept, *must]), DIM), width, characters)
