"""Keys, wherever their bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.cli.screen.keys import ESCAPE, PASTE, KeyParser

KEYS = {
    b"\x1b[A": "up",
    b"\x1bOB": "down",
    b"\x1b[5~": "pageup",
    b"\x1b[6~": "pagedown",
    b"\x1b[H": "home",
    b"\x1b[4~": "end",
    b"\x1b[1;5A": "up",
    b"\x1b[Z": "backtab",
    b"\r": "enter",
    b"\t": "tab",
    b"\x7f": "backspace",
    b"q": "q",
    "ü".encode(): "ü",
    "模".encode(): "模",
}


def parse(*pieces: bytes) -> list[str]:
    parser = KeyParser()
    return [key for piece in pieces for key in parser.feed(piece)]


@pytest.mark.parametrize(("data", "name"), KEYS.items())
def test_every_key_has_its_name(data: bytes, name: str) -> None:
    assert parse(data) == [name]


@given(st.lists(st.sampled_from(sorted(KEYS))), st.data())
def test_a_cut_anywhere_changes_nothing(chosen: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(chosen)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)))))
    pieces = [whole[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert parse(*pieces) == [KEYS[each] for each in chosen]


@given(st.binary(max_size=300))
def test_any_bytes_are_survived(data: bytes) -> None:
    parser = KeyParser()
    keys = [*parser.feed(data), *parser.flush()]
    assert all(key for key in keys)


def test_escape_is_a_key_only_if_nothing_follows() -> None:
    parser = KeyParser()
    assert (parser.feed(b"\x1b"), parser.is_waiting) == ([], True)
    assert (parser.flush(), parser.is_waiting) == ([ESCAPE], False)
    assert parser.feed(b"\x1b") + parser.feed(b"[A") == ["up"]


def test_unknown_sequences_are_no_keys() -> None:
    assert parse(b"\x1b[200;3u\x1b[?1;2c\x1b[15~q") == ["q"]


def test_a_paste_is_one_key_without_control_characters() -> None:
    assert parse(b"\x1b[200~sy\x1b[A\r", b"q\x1b[201~l") == [f"{PASTE}sy[Aq", "l"]


def test_a_paste_without_an_end_is_bounded() -> None:
    keys = parse(b"\x1b[200~", *[b"x" * 1000] * 9)
    assert len(keys) >= 1
    assert keys[0].startswith(PASTE)
