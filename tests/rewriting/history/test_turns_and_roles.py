"""Conversations that are no list of messages, and messages with other roles."""

from typing import Any

import pytest

from sparkd.catalog.templates import Template
from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import model, rewrite_request, rewrite_to_dict

USER = {"role": "user", "content": "hi"}
ANSWER = {"role": "assistant", "content": "yo"}


def rules(body: dict[str, Any], api: Api) -> tuple[str, ...]:
    return rewrite_request(body, RewriteContext(model(), api)).rewrites


@pytest.mark.parametrize("api", ["chat", "messages"])
@pytest.mark.parametrize("given", ["hi", USER, ["hi"], [None, USER], [{}, USER]])
def test_what_is_no_list_of_messages_becomes_one(api: Api, given: Any) -> None:
    assert rewrite_to_dict({"messages": given}, RewriteContext(model(), api)) == {"messages": [USER]}
    assert rules({"messages": given}, api) == ("turns",)


def test_an_item_alone_becomes_a_list() -> None:
    assert rewrite_to_dict({"input": USER}, RewriteContext(model(), "responses")) == {"input": [USER]}


@pytest.mark.parametrize("more", [{}, {"input": None}])
def test_messages_stand_in_for_a_missing_input(more: dict[str, Any]) -> None:
    body = {"messages": [USER], **more}
    assert rewrite_to_dict(body, RewriteContext(model(), "responses")) == {"input": [USER]}


@pytest.mark.parametrize(
    ("api", "field"), [("chat", "messages"), ("messages", "messages"), ("responses", "input")]
)
@pytest.mark.parametrize(
    ("role", "sent"),
    [
        ("User", "user"),
        ("human", "user"),
        (" ASSISTANT", "assistant"),
        ("ai", "assistant"),
        ("model", "assistant"),
    ],
)
def test_roles_of_other_frameworks_are_renamed(api: Api, field: str, role: str, sent: str) -> None:
    body = {field: [USER, {"role": role, "content": "x"}, USER]}
    assert rewrite_to_dict(body, RewriteContext(model(), api)) == {
        field: [USER, {"role": sent, "content": "x"}, USER]
    }
    assert rules(body, api) == ("roles",)


@pytest.mark.parametrize(
    ("api", "field"), [("chat", "messages"), ("messages", "messages"), ("responses", "input")]
)
@pytest.mark.parametrize("role", [{}, {"role": None}, {"role": ""}, {"role": 3}])
def test_a_message_without_a_role_is_the_users(api: Api, field: str, role: dict[str, Any]) -> None:
    sent = rewrite_to_dict({field: [{"content": "hi", **role}]}, RewriteContext(model(), api))[field]
    assert [(turn["role"], turn["content"]) for turn in sent] == [("user", "hi")]


@pytest.mark.parametrize(
    ("api", "field"), [("chat", "messages"), ("messages", "messages"), ("responses", "input")]
)
def test_any_other_role_becomes_a_users_turn_with_a_heading(api: Api, field: str) -> None:
    body = {field: [USER, {"role": "critic", "content": "no"}]}
    assert rewrite_to_dict(body, RewriteContext(model(), api))[field][1] == {
        "role": "user",
        "content": "[critic]\nno",
    }


def test_a_chat_template_may_know_more_roles() -> None:
    body = {"messages": [USER, {"role": "document 1", "content": "x"}, USER]}
    assert rewrite_to_dict(body, RewriteContext(model())) == body


def test_a_turn_with_tool_calls_and_no_role_is_the_assistants() -> None:
    body = {"messages": [USER, {"content": "yo", "tool_calls": None}, USER]}
    sent = rewrite_to_dict(body, RewriteContext(model(), "messages", template=Template(empty_assistant=True)))
    assert sent["messages"][1] == {"content": [{"type": "text", "text": "yo"}], "role": "assistant"}


def test_a_chats_tool_calls_become_blocks_in_messages() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    body = {
        "messages": [
            USER,
            {"role": "assistant", "content": "Let me see.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "a", "content": "done"},
        ]
    }
    assert rewrite_to_dict(body, RewriteContext(model(), "messages"))["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "done"}]},
    ]


def test_anthropics_results_in_a_tool_message_are_the_users() -> None:
    use = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]}
    results = [{"type": "tool_result", "tool_use_id": "a", "content": "done"}]
    body = {"messages": [USER, use, {"role": "tool", "content": results}]}
    sent = rewrite_to_dict(body, RewriteContext(model(), "messages"))["messages"]
    assert sent == [USER, use, {"role": "user", "content": results}]


@pytest.mark.parametrize("between", [{"role": "system", "content": "Note"}, USER])
def test_where_roles_alternate_a_result_behind_another_message_becomes_a_users_turn(between: Any) -> None:
    call = {"id": "call00001", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = {
        "messages": [
            USER,
            {"role": "assistant", "content": "", "tool_calls": [call]},
            between,
            {"role": "tool", "tool_call_id": "call00001", "content": "done"},
        ]
    }
    context = RewriteContext(model(), template=Template(alternates=True, system="first"))
    sent = rewrite_to_dict(body, context)["messages"]
    assert [turn["role"] for turn in sent] == ["user", "assistant", "tool", "assistant", "user"]
    assert sent[-1]["content"].endswith("\n\n[Tool result]\ndone")
    assert rewrite_to_dict(body, RewriteContext(model()))["messages"][-1] == body["messages"][-1]


def test_parts_that_vllm_rejects_become_texts() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = {
        "messages": [
            {"role": "user", "content": [{"foo": "bar"}, {"text": "hi"}]},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "a", "content": ["done"]},
        ]
    }
    first, _, last = rewrite_to_dict(body, RewriteContext(model()))["messages"]
    assert first["content"] == [{"type": "text", "text": '{"foo": "bar"}'}, {"type": "text", "text": "hi"}]
    assert last["content"] == [{"type": "text", "text": "done"}]
