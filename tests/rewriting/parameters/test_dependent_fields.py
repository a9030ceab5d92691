"""Fields that need another field, and incomplete formats."""

from typing import Any

import pytest

from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import model, rewrite_to_dict

USAGE = {"include_usage": True}


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize("stream", [{}, {"stream": False}, {"stream": None}, {"stream": ""}])
def test_options_of_a_stream_need_a_stream(api: Api, stream: dict[str, Any]) -> None:
    result = rewrite_to_dict({**stream, "stream_options": USAGE}, RewriteContext(model(), api))
    assert "stream_options" not in result


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize("stream", [True, "true"])
def test_options_of_a_stream_stay_with_it(api: Api, stream: Any) -> None:
    body = {"stream": stream, "stream_options": USAGE}
    assert rewrite_to_dict(body, RewriteContext(model(), api)) == {"stream": True, "stream_options": USAGE}


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"top_logprobs": 5}, {}),
        ({"top_logprobs": 5, "logprobs": False}, {"logprobs": False}),
        ({"top_logprobs": 5, "logprobs": True}, {"top_logprobs": 5, "logprobs": True}),
        ({"logprobs": 5}, {"logprobs": True, "top_logprobs": 5}),
        ({"logprobs": 0}, {}),
    ],
)
def test_logprobs_of_a_chat(body: dict[str, Any], sent: dict[str, Any]) -> None:
    assert rewrite_to_dict(body, RewriteContext(model())) == sent


def test_logprobs_of_a_completion_are_a_number() -> None:
    assert rewrite_to_dict({"logprobs": 5}, RewriteContext(model(), "completions")) == {"logprobs": 5}


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"type": "text"}, {"type": "text"}),
        ({"type": "json_object"}, {"type": "json_object"}),
        ("json_object", {"type": "json_object"}),
        ("markdown", None),
        ({}, None),
        ({"type": None}, None),
        (None, None),
    ],
)
def test_the_format_of_a_response(api: Api, given: Any, sent: Any) -> None:
    result = rewrite_to_dict({"response_format": given}, RewriteContext(model(), api))
    assert result.get("response_format") == sent


def test_metadata_of_responses_are_texts() -> None:
    context = RewriteContext(model(), "responses")
    assert rewrite_to_dict({"metadata": {"a": "x", "b": 2, "c": [1]}}, context) == {
        "metadata": {"a": "x", "b": "2", "c": "[1]"}
    }
    assert rewrite_to_dict({"metadata": "x"}, context) == {}
    kept = {"metadata": {"user_id": 3}}
    assert rewrite_to_dict(kept, RewriteContext(model(), "messages")) == kept
