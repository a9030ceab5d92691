"""Requests that differ in wording have the same shape; ordinary requests have none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.rewriting.shape import find_shape, may_have_shape

CHAT = b"/v1/chat/completions"
SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "x", "schema": {"type": "object", "description": "one"}},
}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400_000}}


def chat(content: Any = "hello", **fields: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": content}], **fields}).encode()


def shape_of(body: bytes, target: bytes = CHAT) -> bytes | None:
    shape = find_shape(target, body)
    return shape.digest if shape else None


@pytest.mark.parametrize(
    "body",
    [
        chat(),
        chat("a longer text " * 100, stream=True, stream_options={"include_usage": True}),
        chat(temperature=0.7, top_p=0.95, top_k=20, n=1, max_tokens=8000, stop=["x"], seed=7, user="me"),
        chat(
            tools=[], tool_choice="auto", reasoning_effort="high", metadata={"a": "b"}, response_format=None
        ),
        b"",
        b"[]",
        b"not JSON",
        b"[" * 100_000,
        b'{"tools":' + b'{"a":' * 600 + b"1" + b"}" * 601,
        json.dumps({"model": "m", "prompt": "hi"}).encode(),
        json.dumps({"model": "m", "input": ["a", "b"], "encoding_format": "float"}).encode(),
    ],
)
def test_an_ordinary_request_has_no_shape(body: bytes) -> None:
    assert find_shape(CHAT, body) is None


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"response_format": SCHEMA}, ("response_format",)),
        (
            {"structured_outputs": {"grammar": "root ::="}, "tools": [{"type": "x"}]},
            ("structured_outputs", "tools"),
        ),
        ({"temperature": -3}, ("temperature",)),
        ({"top_k": 10**9, "n": 64}, ("n", "top_k")),
        ({"poison": True}, ("poison",)),
        ({"content": "x" * 200_000}, ("messages",)),
        ({"content": [IMAGE]}, ("messages",)),
    ],
)
def test_an_unusual_one_names_what_is_unusual(fields: dict[str, Any], named: tuple[str, ...]) -> None:
    shape = find_shape(CHAT, chat(**fields))
    assert shape is not None
    assert shape.fields == named
    assert may_have_shape(shape.fields, chat(**fields))
    assert not may_have_shape(shape.fields, b'{"model": "m"}')


def test_another_wording_has_the_same_shape() -> None:
    one = chat("why is the sky blue?", response_format=SCHEMA, max_tokens=1000, seed=1)
    other = chat("who wrote that poem", response_format=SCHEMA, max_tokens=900, seed=2)
    described = json.loads(json.dumps(SCHEMA).replace("one", "two"))
    assert (
        shape_of(one)
        == shape_of(other)
        == shape_of(chat("what is a spark good for", response_format=described, max_tokens=1000))
    )


@pytest.mark.parametrize(
    "other",
    [
        chat(response_format={"type": "json_object"}),
        chat(response_format=SCHEMA, temperature=0.5),
        chat("much longer " * 1000, response_format=SCHEMA),
        chat(response_format=SCHEMA, tools=[{"type": "function"}]),
        chat([IMAGE], response_format=SCHEMA),
    ],
)
def test_other_values_and_sizes_have_another_shape(other: bytes) -> None:
    assert shape_of(chat(response_format=SCHEMA)) != shape_of(other)


def test_strange_names_are_not_repeated() -> None:
    fields = {"é": 1, "x" * 1000: 1, 'a"b': 1, "": 1, **{f"field{number}": 1 for number in range(100)}}
    shape = find_shape(CHAT, chat(**fields))
    assert shape is not None
    assert len(shape.fields) == 8
    strange = find_shape(CHAT, json.dumps({"é": 1}).encode())
    assert strange is not None
    assert strange.fields == ()


def test_a_larger_image_and_another_path_have_another_shape() -> None:
    larger = json.loads(json.dumps(IMAGE).replace("AAAA", "AAAAAAAA"))
    assert shape_of(chat([IMAGE])) != shape_of(chat([larger]))
    assert shape_of(chat(poison=True)) != shape_of(chat(poison=True), b"/v1/responses")
    assert shape_of(chat(poison=True)) == shape_of(chat(poison=True), CHAT + b"?a=b")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
NAMES = (
    st.sampled_from(["messages", "input", "tools", "temperature", "n", "max_tokens", "stop", "model"])
    | st.text()
)


@given(st.dictionaries(NAMES, JSON, max_size=6), st.randoms(use_true_random=False))
def test_any_body_has_one_shape_whatever_the_order_of_its_fields(fields: dict[str, Any], random: Any) -> None:
    shuffled = list(fields.items())
    random.shuffle(shuffled)
    body, other = json.dumps(fields).encode(), json.dumps(dict(shuffled)).encode()
    assert shape_of(body) == shape_of(other)
