"""Conversations: roles, system messages, tool calls and their results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.e2e.agents.case import (
    CHAT,
    HI,
    MESSAGES,
    READ,
    RECALL,
    REMEMBERED,
    RESPONSES,
    Case,
    block_call,
    block_result,
    calling,
    chat,
    item_call,
    item_result,
    messages,
    responses,
    result,
    turn,
)

A, B = turn("system", "A"), turn("system", "B")
ANSWER = turn("assistant", "yo")
DEVELOPER = turn("developer", "Be brief.")


def list_roles() -> Iterator[Case]:
    """System messages, developers, other roles and orders."""
    yield chat("a late system message", [A, HI, B, HI])
    yield chat("two system messages in front", [A, B, HI])
    yield chat("a developer", [DEVELOPER, HI])
    yield chat("a system message and a late developer", [A, HI, ANSWER, DEVELOPER, HI])
    yield chat("only a system message", [A])
    yield chat("the assistant begins", [ANSWER, HI])
    yield chat("two turns of each role", [HI, HI, ANSWER, ANSWER, HI])
    yield chat("an assistant's turn at the end", [HI, ANSWER], answer=None)
    yield chat("a turn to continue", [HI, ANSWER], "dependent-fields", None, continue_final_message=True)
    yield chat("an empty turn", [HI, turn("assistant", ""), HI])
    yield chat("speech that is elsewhere", [HI, {**turn("assistant", None), "audio": {"id": "a"}}, HI])
    yield chat("LangChain's roles", [turn("human", "hi"), turn("ai", "yo"), turn("human", "hi")], "roles")
    yield chat("a role in capitals", [turn("User", "hi")], "roles")
    yield chat("another role", [HI, turn("critic", "no"), HI], "roles")
    yield chat("no role", [{"content": "hi"}], "roles")
    yield chat("a text for messages", "hi", "turns")
    yield chat("null among messages", [None, HI], "turns")
    yield responses("two developers", [DEVELOPER, turn("developer", "B"), HI])
    yield responses("a late developer", [DEVELOPER, HI, ANSWER, turn("developer", "B"), HI], instructions="A")
    yield responses("only a developer", [DEVELOPER])
    yield responses("another role", [HI, turn("critic", "no"), HI], "roles")
    yield responses("messages for input", None, "turns", messages=[HI])
    yield responses("an item for input", HI, "turns")
    yield messages("a system message among messages", [HI, ANSWER, A, HI], system="top")
    yield messages("a system message in front", [A, HI])
    yield messages("a developer", [DEVELOPER, HI])
    yield messages("LangChain's roles", [turn("human", "hi"), turn("ai", "yo"), turn("human", "hi")], "roles")
    yield messages("empty system blocks", system=[{"type": "text", "text": ""}], rules="block-shapes")


def list_chat_calls() -> Iterator[Case]:
    """Tool calls of a chat."""
    after = (result("a"), RECALL)
    for name, arguments in (("cut off", '{"a": "x'), ("empty", ""), ("an object", {"a": 1})):
        yield chat(
            f"arguments: {name}",
            [READ, calling("a", arguments=arguments), *after],
            "tool-arguments",
            REMEMBERED,
        )
    yield chat("no tool calls", [HI, {**ANSWER, "tool_calls": []}, HI], "message-shapes")
    yield chat("results in another order", [READ, calling("a", "b"), result("b"), *after], answer=REMEMBERED)
    yield chat(
        "a call without a result",
        [READ, calling("a"), *after, calling("c"), RECALL],
        "tool-calls",
        REMEMBERED,
    )
    yield chat(
        "two calls of one id", [READ, calling("a", "a"), result("a"), *after], "tool-calls", REMEMBERED
    )
    yield chat("a result without a call", [HI, result("a"), HI], "tool-calls", None)
    for name, content in (
        ("parts", [{"type": "text", "text": "lighthouse"}]),
        ("texts", ["lighthouse"]),
        ("an object", {"stdout": "lighthouse"}),
    ):
        yield chat(f"a result: {name}", [READ, calling("a"), result("a", content), RECALL], answer=REMEMBERED)
    for name, between in (("system message", A), ("user turn", HI)):
        yield chat(f"a {name} before the result", [READ, calling("a"), between, *after], answer=None)


def list_item_calls() -> Iterator[Case]:
    """Tool calls of /v1/responses."""
    after = (item_result("a"), RECALL)
    for name, arguments in (("cut off", '{"a": "x'), ("empty", ""), ("an object", {"a": 1})):
        call = item_call("a", arguments=arguments)
        yield responses(f"arguments: {name}", [READ, call, *after], "tool-arguments", REMEMBERED)
    yield responses(
        "parallel results in another order",
        [READ, item_call("a"), item_call("b"), item_result("b"), *after],
        answer=REMEMBERED,
    )
    yield responses(
        "a result of parts",
        [READ, item_call("a"), item_result("a", [{"type": "input_text", "text": "lighthouse"}]), RECALL],
        "response-items",
        REMEMBERED,
    )
    yield responses(
        "an unknown status",
        [READ, item_call("a", status="failed"), item_result("a", status="failed"), RECALL],
        "response-items",
        REMEMBERED,
    )
    for name, between in (("developer", DEVELOPER), ("user", HI)):
        yield responses(f"a {name} before the result", [READ, item_call("a"), between, *after], answer=None)
    encrypted: dict[str, Any] = {"type": "reasoning", "id": None, "summary": [], "encrypted_content": None}
    said = [{"type": "output_text", "text": "yo"}]
    replayed = {"type": "message", "id": None, "role": "assistant", "content": said}
    yield responses(
        "replayed items",
        [READ, encrypted, replayed, item_call("a", id=None), *after],
        "response-items",
        REMEMBERED,
    )
    shell = {
        "type": "local_shell_call",
        "id": None,
        "call_id": "s",
        "status": "completed",
        "action": {"type": "exec", "command": ["ls"]},
    }
    yield responses(
        "items of other tools",
        [HI, shell, {"type": "local_shell_call_output", "id": "s", "output": "x"}, HI],
        "response-items",
        None,
    )


def list_block_calls() -> Iterator[Case]:
    """Tool calls of /v1/messages."""
    tools = [{"name": "read_note", "input_schema": {"type": "object", "properties": {}}}]
    use, after = turn("assistant", [block_call("a")]), (turn("user", [block_result("a")]), RECALL)
    for name, given in (("cut off", '{"a": "x'), ("null", None)):
        call = turn("assistant", [block_call("a", input=given)])
        yield messages(f"input: {name}", [READ, call, *after], "tool-arguments", REMEMBERED, tools=tools)
    split = [turn("assistant", [block_call("a"), block_call("b")]), turn("user", [block_result("b")])]
    yield messages("results in two messages", [READ, *split, *after], answer=REMEMBERED, tools=tools)
    yield messages("a system message before the result", [READ, use, A, *after], answer=None, tools=tools)
    yield messages(
        "a call without a result", [READ, use, *after, use, RECALL], "tool-calls", REMEMBERED, tools=tools
    )
    cached = {"cache_control": {"type": "ephemeral"}}
    content = [{"type": "text", "text": "lighthouse", **cached}]
    yield messages(
        "cache marks",
        [READ, use, turn("user", [block_result("a", content, **cached)]), RECALL],
        answer=REMEMBERED,
        tools=[{**tools[0], **cached}],
    )
    thinking = [
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
    ]
    yield messages(
        "another vendor's thinking",
        [HI, turn("assistant", [*thinking, {"type": "text", "text": "yo"}]), HI],
        "block-shapes",
    )
    chat_turns = [READ, {**calling("a"), "content": "I read."}, result("a"), RECALL]
    yield messages("a chat's tool calls", chat_turns, "roles", REMEMBERED, tools=tools)


def list_halves() -> Iterator[Case]:
    """Half an emoji in a text, in a key and in an argument."""
    half = rb'"hi \ud83d"'
    user = b'{"role":"user","content":' + half + b"}"
    rule = frozenset({"lone-surrogates"})
    yield Case(
        "chat: half an emoji", CHAT, b'{"model":"MODEL","messages":[' + user + b'],"max_tokens":40}', rule
    )
    yield Case(
        "responses: half an emoji",
        RESPONSES,
        b'{"model":"MODEL","input":' + half + b',"max_output_tokens":40}',
        rule,
    )
    yield Case(
        "messages: half an emoji",
        MESSAGES,
        b'{"model":"MODEL","messages":[' + user + b'],"max_tokens":40}',
        rule,
    )
    key = user.replace(b'"role"', rb'"\ude00":1,"role"')
    yield Case(
        "chat: half an emoji in a key",
        CHAT,
        b'{"model":"MODEL","messages":[' + key + b'],"max_tokens":40}',
        rule,
    )


HISTORY = (*list_roles(), *list_chat_calls(), *list_item_calls(), *list_block_calls(), *list_halves())
