"""Where a file sets each key: compared with what the standard library's parser reads."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from sparkd.editing.toml_places import Place, find_places, find_values

NAMES = st.text(min_size=1, max_size=8)
SCALARS = st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=20) | st.floats(-1e6, 1e6)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


def paths(value: Any, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of a document; rows of lists are counted from 1."""
    items = value.items() if isinstance(value, dict) else [(str(n), each) for n, each in enumerate(value, 1)]
    for name, inner in items:
        yield (*prefix, name)
        if isinstance(inner, dict | list):
            yield from paths(inner, (*prefix, name))


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.booleans())
def test_every_key_of_a_document_has_a_place(document: dict[str, Any], multiline: bool) -> None:
    text = tomli_w.dumps(document, multiline_strings=multiline)
    places = find_places(text)
    lines = text.split("\n")
    # tomli_w writes no header for a table that has only tables, and tomllib merges what a header implies.
    known = {path[:length] for path in places for length in range(1, len(path) + 1)}
    assert set(paths(tomllib.loads(text))) <= known
    for place in places.values():
        assert lines[place.line - 1][place.column - 1 :].strip()


@given(st.text(alphabet="ab.=\"'[]{},#\n \\1", max_size=60))
def test_any_text_is_scanned_without_an_error(text: str) -> None:
    find_places(text)
    assert all(0 <= span.start <= span.end <= len(text) for span in find_values(text))


@pytest.mark.parametrize(
    ("text", "key", "place"),
    [
        ("a = 1", ("a",), Place(1, 1)),
        ("# c\n\n[x.y]\n  b.c = 1", ("x", "y", "b", "c"), Place(4, 3)),
        ('["x.y"."z w"]\n"k k" = 1', ("x.y", "z w", "k k"), Place(2, 1)),
        ("a = { b = 1, c = { d = 2 } }", ("a", "c", "d"), Place(1, 20)),
        ('a = """\n[b]\n"""\nc = 1', ("c",), Place(4, 1)),
        ("a = [ # [x]\n 1,\n 2 ]\nb = 1", ("b",), Place(4, 1)),
        ("[[s]]\nn = 1\n[[s]]\nn = 2", ("s", "2", "n"), Place(4, 1)),
        ("[a]\n[[a.s]]\nn = 1\n[a.s.t]\nm = 1", ("a", "s", "1", "t", "m"), Place(5, 1)),
    ],
)
def test_places_of_keys(text: str, key: tuple[str, ...], place: Place) -> None:
    assert find_places(text)[key] == place


def test_a_deep_text_ends_the_scan() -> None:
    assert ("a",) in find_places("a = " + "[" * 100_000)
