"""The whole machine on screens of many sizes, and with texts that mean harm."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from sparkd.cli.screen.overview import render_overview
from sparkd.cli.screen.style import ASCII, UNICODE, Characters, choose_characters, clean
from sparkd.cli.screen.view import View
from tests.cli.screen.sample import VIEW, large_view

SNAPSHOTS = Path(__file__).parent / "snapshots"
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x1b[31m\r\n\x9b2J\u202eevil\x00"


def draw(
    view: View, columns: int, lines: int, characters: Characters = UNICODE, problem: str = ""
) -> list[Text]:
    return render_overview(view, problem, (columns, lines), characters, disabled_too=False)


def plain(lines: list[Text]) -> str:
    return "".join(f"{line.plain.rstrip()}\n" for line in lines)


@pytest.mark.parametrize(
    ("columns", "lines", "characters"),
    [(40, 24, UNICODE), (80, 24, UNICODE), (80, 24, ASCII), (200, 50, UNICODE)],
    ids=["40", "80", "80-ascii", "200"],
)
def test_the_screen_looks_as_it_did(columns: int, lines: int, characters: Characters) -> None:
    """SPARKD_UPDATE_SNAPSHOTS=1 writes the pictures again."""
    shown = plain(draw(VIEW, columns, lines, characters))
    path = SNAPSHOTS / f"overview-{columns}{'-ascii' if characters is ASCII else ''}.txt"
    if os.environ.get("SPARKD_UPDATE_SNAPSHOTS"):
        path.write_text(shown)
    assert shown == path.read_text()


@given(st.integers(1, 260), st.integers(1, 80), st.booleans(), st.sampled_from(["", "reconnecting for 3 s"]))
def test_it_fits_every_terminal(columns: int, lines: int, is_ascii: bool, problem: str) -> None:
    shown = draw(VIEW, columns, lines, ASCII if is_ascii else UNICODE, problem)
    assert len(shown) <= lines
    if columns >= 40:
        assert all(cell_len(line.plain) <= columns for line in shown)
    if is_ascii:
        assert all(line.plain.isascii() for line in shown)


@given(st.integers(40, 200), st.integers(10, 60))
def test_no_text_from_outside_controls_the_terminal(columns: int, lines: int) -> None:
    view = replace(
        VIEW,
        name=HOSTILE,
        notices=(HOSTILE,),
        models=tuple(replace(model, id=HOSTILE + model.id, phase=HOSTILE) for model in VIEW.models),
        requests=tuple(replace(row, client=HOSTILE, program=HOSTILE, id=HOSTILE) for row in VIEW.requests),
        queue=tuple(replace(row, text=HOSTILE, client=HOSTILE) for row in VIEW.queue),
        loads=tuple(replace(row, phase=HOSTILE, model=HOSTILE) for row in VIEW.loads),
    )
    assert all(line.plain.isprintable() for line in draw(view, columns, lines))


def test_a_control_character_is_a_question_mark() -> None:
    assert clean("a\x1b[2Jb\n\u202ec") == "a?[2Jb ?c"


def test_colours_can_be_left_out_and_nothing_is_lost() -> None:
    def write(**options: object) -> str:
        console = Console(file=io.StringIO(), width=100, force_terminal=True, **options)  # type: ignore[arg-type]
        for line in draw(VIEW, 100, 40):
            console.print(line, no_wrap=True)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    coloured = write(color_system="256", highlight=False)
    without = write(no_color=True, highlight=False)
    assert "\x1b[" in coloured
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", without)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == re.sub(r"\x1b\[[0-9;]*m", "", without)


def test_what_is_unknown_is_not_zero() -> None:
    view = replace(
        VIEW,
        system=None,
        requests=tuple(replace(row, speed=None, tokens_out=None) for row in VIEW.requests),
        models=tuple(replace(model, memory_used=None) for model in VIEW.models),
    )
    shown = plain(draw(view, 120, 40))
    assert "system unknown" in shown
    assert "qwen3-coder-30b 40.0 GiB reserved" in shown
    assert "0.0 tok/s" not in shown


def test_old_figures_say_that_they_are_old() -> None:
    for columns in (40, 80, 200):
        shown = plain(draw(VIEW, columns, 24, problem="reconnecting for 12 s"))
        assert "reconnecting for 12 s" in shown.splitlines()[0]


def test_what_does_not_fit_is_counted() -> None:
    shown = plain(draw(large_view(), 80, 30))
    assert "… 10001 more" in shown or "more" in shown
    assert len(shown.splitlines()) <= 30
    counts = [int(found) for found in re.findall(r"… (\d+) more", shown)]
    assert any(count > 9_900 for count in counts), shown
    assert any(150 < count < 200 for count in counts), shown


def test_the_set_of_characters_follows_the_encoding() -> None:
    assert choose_characters("utf-8") is UNICODE
    assert choose_characters("UTF8") is UNICODE
    for encoding in ("ascii", "ANSI_X3.4-1968", "iso8859-1"):
        assert choose_characters(encoding) is ASCII
