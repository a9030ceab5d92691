"""How an engine is asked for the usage of a stream: nothing else of the request changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.gateway.measuring.asking import UsageAsking
from sparkd.rewriting import JsonBody
from tests.gateway.gateways import model

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
NAMES = st.text(max_size=8).filter(
    lambda name: name not in ("stream", "stream_options", "n", "prompt", "model")
)


def ask(data: bytes, **fields: Any) -> bytes:
    return bytes(UsageAsking().ask(model("m", **fields), "chat", JsonBody.parse(data)).encode())


@given(
    fields=st.dictionaries(NAMES, VALUES, max_size=4),
    indent=st.sampled_from([None, 0, 2]),
    is_ascii=st.booleans(),
    around=st.sampled_from(["", " ", "\n", "\r\n\t "]),
)
def test_every_byte_before_its_end_stays(
    fields: dict[str, Any], indent: int | None, is_ascii: bool, around: str
) -> None:
    document = json.dumps({**fields, "stream": True}, indent=indent, ensure_ascii=is_ascii)
    data = f"{around}{document}{around}".encode()
    asked = ask(data)
    assert asked.startswith(data.rstrip()[:-1])
    assert json.loads(asked) == {**fields, "stream": True, "stream_options": {"include_usage": True}}


@given(
    options=st.none()
    | st.dictionaries(NAMES, VALUES, max_size=2).flatmap(
        lambda rest: st.sampled_from(
            [
                rest,
                {**rest, "include_usage": False},
                {**rest, "include_usage": None, "continuous_usage_stats": True},
            ]
        )
    )
)
def test_other_options_of_the_stream_stay(options: dict[str, Any] | None) -> None:
    asked = json.loads(ask(json.dumps({"stream": True, "stream_options": options, "x": 1.50}).encode()))
    kept = {name: value for name, value in (options or {}).items() if name != "continuous_usage_stats"}
    assert asked == {"stream": True, "stream_options": {**kept, "include_usage": True}, "x": 1.5}


@pytest.mark.parametrize(
    "body",
    [
        {"stream": True, "stream_options": {"include_usage": True}},
        {"stream": True, "stream_options": {"include_usage": "yes"}},
        {"stream": True, "stream_options": 5},
        {"stream": True, "stream_options": [1]},
        {"stream": True, "n": 2},
        {"stream": True, "prompt": ["a", "b"]},
    ],
)
def test_a_client_that_asked_and_streams_of_several_choices_are_left_alone(body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    assert ask(data) == data


def test_a_large_image_is_neither_lost_nor_copied_into_another_place() -> None:
    image = "data:image/png;base64," + "A" * 400_000
    content = [{"type": "image_url", "image_url": {"url": image}}]
    data = json.dumps(
        {"model": "m", "stream": True, "messages": [{"role": "user", "content": content}]}
    ).encode()
    asked = ask(data)
    assert asked == data[:-1] + b',"stream_options":{"include_usage":true}}'
    again = json.dumps({"stream": True, "stream_options": None, "messages": content}).encode()
    assert json.loads(ask(again))["messages"] == content


@pytest.mark.parametrize("name", ["enable-force-include-usage", "enable_force_include_usage"])
def test_engines_that_always_report_the_usage_are_not_asked(name: str) -> None:
    data = b'{"stream":true}'
    assert ask(data, options={name: True}) == data
    assert ask(data, options={name: False}) != data
    assert ask(data, engine="sglang", options={"stream_response_default_include_usage": True}) == data
