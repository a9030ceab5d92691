"""CSV that is safe to open in a spreadsheet."""

from __future__ import annotations

import csv

import pytest

from sparkd.control.csv_text import render_rows


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff20"])
@pytest.mark.parametrize("before", ["", "a;", "a|", "a; ", "a\t"])
def test_no_text_is_a_formula(start: str, before: str) -> None:
    text = f"{before}{start}cmd|' /C calc'!A0"
    ((field, number),) = csv.reader(render_rows([(text, -5)]).decode().splitlines() if start != "\r" else [
        render_rows([(text, -5)]).decode().replace("\r\n", "")
    ])  # fmt: skip
    assert number == "-5"
    for separator in (";", "|", "\t"):
        for part in field.split(separator):
            assert not part.lstrip().startswith(("=", "+", "@", "\uff1d", "\uff20"))


def test_other_texts_stay() -> None:
    assert render_rows([("a-b; c", "x=1", None, True)]) == b"a-b; c,x=1,,true\r\n"
