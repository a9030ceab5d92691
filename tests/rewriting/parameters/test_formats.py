"""Formats of the response, in the shape of each API."""

from typing import Any

import pytest

from sparkd.errors import InvalidRequest
from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import model, rewrite_to_dict

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
FORMS = [
    {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
    {"type": "json_schema", "json_schema": SCHEMA},
    {"type": "json_schema", "json_schema": {"name": None, "schema": SCHEMA}},
    {"type": "json_schema", "schema": SCHEMA},
    {"type": "json_object", "schema": SCHEMA},
    {"json_schema": {"schema": SCHEMA}},
]
NAMED = {"name": "response", "schema": SCHEMA}


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize("given", FORMS)
def test_a_schema_is_nested_and_named(api: Api, given: dict[str, Any]) -> None:
    sent = rewrite_to_dict({"response_format": given}, RewriteContext(model(), api))
    assert sent == {"response_format": {"type": "json_schema", "json_schema": NAMED}}


@pytest.mark.parametrize("given", FORMS)
def test_in_responses_it_is_flat(given: dict[str, Any]) -> None:
    sent = rewrite_to_dict({"text": {"format": given}}, RewriteContext(model(), "responses"))
    assert sent == {"text": {"format": {"type": "json_schema", **NAMED}}}


@pytest.mark.parametrize("given", FORMS[:5])
def test_in_messages_it_has_no_name(given: dict[str, Any]) -> None:
    sent = rewrite_to_dict({"output_config": {"format": given}}, RewriteContext(model(), "messages"))
    assert sent == {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}


@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("chat", {"response_format": {"type": "json_schema", "json_schema": {**NAMED, "strict": True}}}),
        ("chat", {"response_format": {"type": "text"}}),
        ("completions", {"response_format": {"type": "json_object"}}),
        ("responses", {"text": {"format": {"type": "json_schema", **NAMED}, "verbosity": "low"}}),
        ("responses", {"text": {"format": {"type": "text"}}}),
        ("messages", {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
    ],
)
def test_what_is_right_stays(api: Api, body: dict[str, Any]) -> None:
    assert rewrite_to_dict(body, RewriteContext(model(), api)) == body


@pytest.mark.parametrize("given", [{"type": "json_schema"}, {"type": "json"}, {"type": "json_object"}])
def test_json_without_a_schema(given: dict[str, Any]) -> None:
    assert rewrite_to_dict({"response_format": given}, RewriteContext(model())) == {
        "response_format": {"type": "json_object"}
    }
    sent = rewrite_to_dict({"output_config": {"format": given}}, RewriteContext(model(), "messages"))
    assert sent == {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}


@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("messages", {"output_config": {"format": {"type": "text"}}}),
        ("responses", {"text": {"format": None}}),
    ],
)
def test_what_says_nothing_is_left_out(api: Api, body: dict[str, Any]) -> None:
    assert rewrite_to_dict(body, RewriteContext(model(), api)) == {}


@pytest.mark.parametrize(
    ("api", "body", "param"),
    [
        ("chat", {"response_format": {"type": "grammar", "grammar": "x"}}, "response_format.type"),
        ("responses", {"text": {"format": {"type": "regex"}}}, "text.format.type"),
    ],
)
def test_an_unknown_one_is_rejected(api: Api, body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest, match="structured_outputs") as caught:
        rewrite_to_dict(body, RewriteContext(model(source="a/b"), api))
    assert caught.value.param == param
    assert rewrite_to_dict(body, RewriteContext(model(), api)) == body
