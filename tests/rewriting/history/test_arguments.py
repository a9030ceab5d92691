"""Arguments of old tool calls that do not parse."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.catalog.templates import Template
from sparkd.rewriting import RewriteContext
from sparkd.rewriting.history.json_repair import MAX_SIZE, repair_object
from tests.rewriting.corpus import USER, answered, call, calls, made, output, result, returned, said, use
from tests.rewriting.examples import model, rewrite_to_dict

CASES = [
    ('{"a": "x', {"a": "x"}),
    ('{"a": 1, "b', {"a": 1}),
    ('{"a": tru', {}),
    ('{"a": {"b": [1, 2', {"a": {"b": [1, 2]}}),
    ('{"a": "x\\', {"a": "x"}),
    ('{"a": "\\ud83d', {"a": "\ufffd"}),
    ('{"a": 1}{"a": 2}', {"a": 1}),
    ('{"a": "two\nlines"}', {"a": "two\nlines"}),
    ('"{\\"a\\": 1}"', {"a": 1}),
    ("", {}),
    ("null", {}),
    ("[1]", {}),
    (None, {}),
    (3, {}),
    ({"a": 1}, {"a": 1}),
]
TEMPLATE = Template(null_content=True)


@pytest.mark.parametrize(("given_arguments", "expected"), CASES)
def test_what_can_be_saved_of_them_is_kept(given_arguments: Any, expected: Any) -> None:
    chat = {"messages": [USER, calls(call(arguments=given_arguments)), result()]}
    sent = rewrite_to_dict(chat, RewriteContext(model(), template=TEMPLATE))
    assert json.loads(sent["messages"][1]["tool_calls"][0]["function"]["arguments"]) == expected
    responses = {"input": [USER, made(arguments=given_arguments), output()]}
    sent = rewrite_to_dict(responses, RewriteContext(model(), "responses"))
    assert json.loads(sent["input"][1]["arguments"]) == expected
    messages = {"messages": [USER, answered({**use(), "input": given_arguments}), said(returned())]}
    sent = rewrite_to_dict(messages, RewriteContext(model(), "messages"))
    assert sent["messages"][1]["content"][0]["input"] == expected


def test_the_deprecated_form_becomes_a_tool_call() -> None:
    function = {"name": "f", "arguments": '{"a": 1'}
    body = {
        "messages": [
            USER,
            {"role": "assistant", "content": None, "function_call": function},
            {"role": "function", "name": "f", "content": "done"},
        ]
    }
    sent = rewrite_to_dict(body, RewriteContext(model(), template=TEMPLATE))["messages"]
    assert sent[1]["tool_calls"] == [call("call_0", '{"a":1}')]
    assert sent[2] == {"role": "tool", "name": "f", "content": "done", "tool_call_id": "call_0"}


def test_right_ones_keep_their_bytes() -> None:
    body = {"messages": [USER, calls(call(arguments=' {"a" : 1.0} ')), result()]}
    assert rewrite_to_dict(body, RewriteContext(model(), template=TEMPLATE)) == body


@given(st.text('{}[]",:\\a1u ') | st.text())
def test_any_text_becomes_an_object(text: str) -> None:
    assert isinstance(json.loads(repair_object(text)), dict)


@given(st.dictionaries(st.text(), st.text() | st.lists(st.integers()), min_size=1), st.data())
def test_every_beginning_of_an_object_has_its_first_members(
    value: dict[str, Any], data: st.DataObject
) -> None:
    whole = json.dumps(value)
    size = data.draw(st.integers(1, len(whole)))
    saved = json.loads(repair_object(whole[:size]))
    assert list(saved) == list(value)[: len(saved)]


def test_a_text_too_long_to_repair_is_an_empty_object() -> None:
    assert repair_object('{"a": "' + "x" * MAX_SIZE) == "{}"
