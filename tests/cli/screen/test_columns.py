"""Rows of tables fit the width, and lose the columns that matter least."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from sparkd.cli.screen.columns import GAP, arrange
from sparkd.cli.screen.model_rows import MODEL_COLUMNS
from sparkd.cli.screen.sections import REQUEST_COLUMNS
from sparkd.cli.screen.style import ASCII, UNICODE, fit


@given(st.integers(0, 400), st.sampled_from([MODEL_COLUMNS, REQUEST_COLUMNS]), st.text(max_size=60))
def test_headings_and_rows_have_the_same_width(width: int, columns: tuple, text: str) -> None:  # type: ignore[type-arg]
    layout = arrange(columns, width, UNICODE)
    heading = layout.render_heading()
    row = layout.render_row({column.name: text for column in columns})
    assert cell_len(heading.plain) == cell_len(row.plain)
    assert cell_len(row.plain) == sum(layout.widths) + GAP * (len(layout.widths) - 1)
    if width >= 40:
        assert cell_len(row.plain) <= width


def names(width: int) -> list[str]:
    return [column.name for column in arrange(MODEL_COLUMNS, width, ASCII).columns]


def test_what_matters_most_stays() -> None:
    assert names(38) == ["model", "state", "speed", "requests"]
    assert names(80) == ["model", "state", "speed", "requests", "waiting", "since", "memory"]
    assert names(200) == [column.name for column in MODEL_COLUMNS]


def test_a_cell_that_is_unknown_says_so() -> None:
    layout = arrange(MODEL_COLUMNS, 80, UNICODE)
    assert "—" in layout.render_row({"model": "x"}).plain


def test_a_text_is_cut_where_a_character_ends() -> None:
    assert fit("模型模型", 5, UNICODE).plain == "模型…"
    assert fit("模型模型", 6, UNICODE).plain == "模型 …"
    assert fit("model", 4, ASCII).plain == "mod~"
    assert fit("x", 3, ASCII, right=True).plain == "  x"
    assert fit(Text("\N{WOMAN}\N{ZERO WIDTH JOINER}", "red"), 1, ASCII).plain == "~"
