"""Lone surrogates, in every API and anywhere in a body."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.rewriting import JsonBody, RewriteContext, rewrite
from sparkd.rewriting.rewrite_context import ALL_APIS, Api
from tests.rewriting.examples import model

HALF = "a\ud83d"


def send(body: Any, api: Api = "chat") -> tuple[Any, tuple[str, ...]]:
    result = rewrite(RewriteContext(model(), api), JsonBody.parse(json.dumps(body).encode()))
    return json.loads(result.body.encode()), result.rewrites


@pytest.mark.parametrize("api", sorted(ALL_APIS))
def test_each_becomes_the_replacement_character(api: Api) -> None:
    body = {"model": "m", "input": HALF, "other": [{HALF: "\udc00b"}], "prompt": "\ud83d\ud83d\ude00"}
    expected = {
        "model": "m",
        "input": "a\ufffd",
        "other": [{"a\ufffd": "\ufffdb"}],
        "prompt": "\ufffd\U0001f600",
    }
    assert send(body, api) == (expected, ("lone-surrogates",))


def test_a_name_of_a_model_is_read_too() -> None:
    assert JsonBody.parse(b'{"model":"\\uD83D"}').model == "\ufffd"


def test_a_backslash_before_a_u_is_no_escape() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "\\ud83d \\\\ud83d"}]}
    assert send(body) == (body, ())


@given(
    st.recursive(
        st.text(st.characters()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    )
)
def test_every_body_with_surrogates_is_read(value: Any) -> None:
    sent, _ = send({"model": "m", "value": value}, "other")
    json.dumps(sent, ensure_ascii=False).encode()


def test_in_a_body_with_an_image_too() -> None:
    url = "data:image/png;base64," + "A" * 400_000
    sent, rewrites = send({"model": "m", "a": url, "b": HALF}, "other")
    assert (sent["a"], sent["b"]) == (url, "a\ufffd")
    assert rewrites == ("lone-surrogates",)
