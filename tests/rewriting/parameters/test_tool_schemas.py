"""Schemas of tools that are missing or incomplete."""

from typing import Any

import pytest

from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import model, rewrite_to_dict

APIS: list[Api] = ["chat", "responses", "messages"]
EMPTY = {"type": "object", "properties": {}}
TEXT = {"a": {"type": "string"}}
MISSING = object()


def tool(api: Api, schema: Any) -> dict[str, Any]:
    key = "input_schema" if api == "messages" else "parameters"
    function = (
        {"name": "f", "strict": True} if schema is MISSING else {"name": "f", key: schema, "strict": True}
    )
    if api == "chat":
        return {"type": "function", "function": function}
    return {"type": "function", **function} if api == "responses" else function


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (MISSING, EMPTY),
        (None, EMPTY),
        ({}, EMPTY),
        ([], EMPTY),
        ("", EMPTY),  # an empty text is no JSON
        (" ", EMPTY),
        ({"type": "object"}, EMPTY),
        ({"properties": TEXT}, {"properties": TEXT, "type": "object"}),
        ({"type": None, "properties": TEXT}, {"type": "object", "properties": TEXT}),
        ({"anyOf": [{"type": "object"}]}, {"anyOf": [{"type": "object"}]}),
        ({"$ref": "#/x"}, {"$ref": "#/x"}),
        ({"type": "string"}, {"type": "string"}),
    ],
)
def test_a_schema_is_completed(api: Api, given: Any, sent: Any) -> None:
    result = rewrite_to_dict({"tools": [tool(api, given)]}, RewriteContext(model(), api))
    assert result["tools"] == [tool(api, sent)]
