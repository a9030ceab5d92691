"""Pictures are set aside while a body is looked at, and sent as they came."""

import base64
import json
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkd.rewriting import JsonBody
from sparkd.rewriting.payloads import NO_PAYLOADS, extract_payloads, restore_payloads

LONG = base64.b64encode(os.urandom(300_000)).decode()


def round_trip(body: dict[str, Any], **how: Any) -> tuple[dict[str, Any], int]:
    """A body after a field was set in it, and the bytes that were looked at."""
    data = json.dumps(body, **how).encode()
    parsed = JsonBody.parse(data)
    collected = JsonBody.parse(bytearray(data))
    assert collected.encode() == parsed.encode()
    assert collected.with_field("n", 1).encode() == parsed.with_field("n", 1).encode()
    scanned_bytes = sum(len(bytes(value)) for value in parsed.fields.values())
    result: dict[str, Any] = json.loads(parsed.with_field("n", 1).encode())
    assert result.pop("n") == 1
    return result, scanned_bytes


@pytest.mark.parametrize(
    "value",
    [
        {"url": f"data:image/png;base64,{LONG}"},
        [{"url": f"data:image/png;base64,{LONG}"}] * 3,
        {"source": {"type": "base64", "data": LONG}},
        {"input_audio": {"data": LONG, "format": "wav"}, "text": "x"},
        f"two lines\nand then data:image/png;base64,{LONG}",
        f"a short one ;base64,AAAA\nand then data:image/png;base64,{LONG}",
    ],
)
def test_a_long_payload_is_not_looked_at_and_comes_out_as_it_came(value: Any) -> None:
    for how in ({}, {"indent": 1}, {"separators": (",", ":")}):
        result, scanned_bytes = round_trip({"value": value}, **how)
        assert result == {"value": value}
        assert scanned_bytes < 30_000


@pytest.mark.parametrize(
    "value",
    [
        f"data:image/png;base64,\\{LONG}",
        f'data:image/png;base64,{LONG}" and more {LONG}',
        {"data": f"{LONG}\n{LONG}"},
        {'"data': [1], "text": LONG},
        {"data": "short", "text": "x" * 100_000},
        ';base64,"data": "' * 10_000,
    ],
)
def test_what_only_looks_like_one_comes_out_as_it_came(value: Any) -> None:
    assert round_trip({"value": value})[0] == {"value": value}


def test_a_body_that_stays_as_it_came_is_not_copied() -> None:
    for data in (b'{"text":"%s"}' % (b"x" * 300_000), bytearray(b'{"data":"%s"}' % LONG.encode())):
        assert JsonBody.parse(data).encode() is data


def test_a_body_that_ends_inside_one_is_left_alone() -> None:
    data = b'{"url": "data:image/png;base64,' + LONG.encode()
    assert extract_payloads(data) == (data, NO_PAYLOADS)


def test_a_mark_that_somebody_writes_himself_is_no_mark() -> None:
    text = "~sparkd-0-0~ ~sparkd-1-0~"
    assert round_trip({"url": f"data:image/png;base64,{LONG}", "text": text})[0]["text"] == text


ENDS = st.sampled_from(
    ['"', '\\"', "\\\\", ' "data" : "', ";base64,", '"data":"', "A" * 50_000, "\\", ",", ":"]
)


@settings(deadline=None, max_examples=50)
@given(st.lists(ENDS, max_size=8))
def test_any_bytes_are_put_back_as_they_were(pieces: list[str]) -> None:
    data = "".join(["x" * 300_000, *pieces]).encode()
    assert restore_payloads(*extract_payloads(data)) == data
