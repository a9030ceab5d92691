"""Conversations as clients send them that an engine, or a strict chat template, rejects: by name, API and body."""

from __future__ import annotations

from typing import Any

from sparkd.rewriting.rewrite_context import Api

Turn = dict[str, Any]

USER = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Hello"}
SYSTEM = {"role": "system", "content": "Be brief."}
IMAGE_URL = "data:image/png;base64,iVBORw0KGgo="


def call(id_: Any = "call_1", arguments: Any = '{"a": 1}', **more: Any) -> Turn:
    """A tool call of a chat."""
    return {"id": id_, "type": "function", "function": {"name": "f", "arguments": arguments}, **more}


def calls(*made: Turn, **more: Any) -> Turn:
    """An assistant's message with tool calls."""
    return {"role": "assistant", "content": None, "tool_calls": list(made), **more}


def result(id_: Any = "call_1", content: Any = "done") -> Turn:
    """A tool's result in a chat."""
    return {"role": "tool", "tool_call_id": id_, "content": content}


def text(said: Any) -> Turn:
    """A part that is a text."""
    return {"type": "text", "text": said}


IMAGE = {"type": "image_url", "image_url": {"url": IMAGE_URL}}
BLOCK_IMAGE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
}
PDF = "data:application/pdf;base64,JVBERi0="
NOTE = "data:text/plain;base64,SGVsbG8="

CHATS: dict[str, list[Any]] = {
    "late system": [SYSTEM, USER, SYSTEM, USER],
    "two systems": [SYSTEM, {"role": "system", "content": [text("B")]}, USER],
    "system only": [SYSTEM],
    "late system alone": [USER, SYSTEM],
    "developer": [{"role": "developer", "content": "Be brief."}, USER],
    "system and developer": [SYSTEM, {"role": "developer", "content": "Be kind."}, USER],
    "null system": [{"role": "system", "content": None}, USER],
    "no user": [SYSTEM, ANSWER],
    "results alone": [SYSTEM, calls(call()), result()],
    "assistant first": [ANSWER, USER],
    "users": [USER, USER, ANSWER, USER],
    "null answer": [USER, {"role": "assistant", "content": None}, USER],
    "missing answer": [USER, {"role": "assistant"}, USER],
    "empty answer": [USER, {"role": "assistant", "content": ""}, USER],
    "blank answer": [USER, {"role": "assistant", "content": " \n"}, USER],
    "empty parts": [USER, {"role": "assistant", "content": []}, USER],
    "empty text part": [USER, {"role": "assistant", "content": [text("")]}, USER],
    "no tool calls": [USER, {"role": "assistant", "content": "Hello", "tool_calls": []}, USER],
    "only an empty answer": [{"role": "assistant", "content": ""}],
    "cut arguments": [USER, calls(call(arguments='{"a": "x')), result()],
    "no arguments": [USER, calls(call(arguments="")), result()],
    "null arguments": [USER, calls(call(arguments=None)), result()],
    "object arguments": [USER, calls(call(arguments={"a": 1})), result()],
    "number arguments": [USER, calls(call(arguments=3)), result()],
    "list arguments": [USER, calls(call(arguments="[1]")), result()],
    "arguments twice encoded": [USER, calls(call(arguments='"{\\"a\\": 1}"')), result()],
    "function call": [
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}},
        USER,
    ],
    "no type of call": [USER, calls({"id": "a", "function": {"name": "f", "arguments": "{}"}}), result("a")],
    "custom call": [
        USER,
        calls({"id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}),
        result("a"),
    ],
    "null id": [USER, calls(call(None)), result(None)],
    "orphan": [USER, ANSWER, result()],
    "interrupted": [USER, calls(call()), USER],
    "half interrupted": [USER, calls(call("a"), call("b")), result("a"), USER],
    "same ids": [
        USER,
        calls(call("a"), call("a")),
        result("a"),
        result("a", "other"),
        calls(call("a")),
        result("a"),
    ],
    "result twice": [USER, calls(call()), result(), result(), ANSWER, USER],
    "null name": [{**USER, "name": None}],
    "null refusal": [
        USER,
        {**ANSWER, "refusal": None, "audio": None, "function_call": None, "annotations": []},
        USER,
    ],
    "refusal": [USER, {"role": "assistant", "content": None, "refusal": "No."}, USER],
    "null user": [{"role": "user", "content": None}],
    "object content": [{"role": "user", "content": text("Hi")}],
    "number content": [{"role": "user", "content": 3}],
    "null result": [USER, calls(call()), result(content=None)],
    "object result": [USER, calls(call()), result(content={"a": 1})],
    "unknown part": [{"role": "user", "content": [text("Hi"), {"type": "weird"}]}],
    "null part": [{"role": "user", "content": [None, text("Hi")]}],
    "part without type": [{"role": "user", "content": [{"text": "Hi"}]}],
    "null text": [{"role": "user", "content": [text(None), text("Hi")]}],
    "cached part": [{"role": "user", "content": [{**text("Hi"), "cache_control": {"type": "ephemeral"}}]}],
    "thoughts": [
        USER,
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "Hm", "signature": "x"}, text("Hello")],
        },
        {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}, text("Hello")]},
        {**ANSWER, "reasoning_content": "Hm", "reasoning_details": [{"type": "reasoning.text"}]},
        {**ANSWER, "reasoning": {"a": 1}},
        USER,
    ],
    "file": [
        {
            "role": "user",
            "content": [text("Read."), {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}}],
        }
    ],
    "text file": [
        {"role": "user", "content": [{"type": "file", "file": {"file_data": NOTE, "filename": "a.txt"}}]}
    ],
    "image result": [USER, calls(call("a"), call("b")), result("a", [text("x"), IMAGE]), result("b"), USER],
    "image block": [{"role": "user", "content": [text("Hi"), BLOCK_IMAGE]}],
    "image address": [
        {"role": "user", "content": [text("Hi"), {"type": "image_url", "image_url": IMAGE_URL}]}
    ],
}


def use(id_: Any = "toolu_1", input_: Any = None) -> Turn:
    """A tool call of /v1/messages."""
    return {"type": "tool_use", "id": id_, "name": "f", "input": {"a": 1} if input_ is None else input_}


def returned(id_: Any = "toolu_1", content: Any = "done") -> Turn:
    """A tool's result in /v1/messages."""
    return {"type": "tool_result", "tool_use_id": id_, "content": content}


def said(*blocks: Any) -> Turn:
    """A user's message with blocks."""
    return {"role": "user", "content": list(blocks)}


def answered(*blocks: Any) -> Turn:
    """An assistant's message with blocks."""
    return {"role": "assistant", "content": list(blocks)}


MESSAGES: dict[str, list[Any]] = {
    "late system": [USER, ANSWER, SYSTEM, USER],
    "leading system": [SYSTEM, USER],
    "system in blocks": [USER, {"role": "system", "content": [text("A"), text("B")]}],
    "developer": [{"role": "developer", "content": "Be brief."}, USER],
    "assistant first": [ANSWER, USER],
    "results alone": [answered(use()), said(returned())],
    "users": [USER, said(text("More")), ANSWER, ANSWER, USER],
    "empty answer": [USER, {"role": "assistant", "content": ""}, USER],
    "empty blocks": [USER, answered(text("")), USER, answered(), USER],
    "empty user": [said(text(""))],
    "null content": [{"role": "user", "content": None}],
    "missing content": [{"role": "user"}],
    "object content": [{"role": "user", "content": text("Hi")}],
    "strings as blocks": [said("Hi")],
    "no type": [said({"text": "Hi"})],
    "null text": [said(text(None), text("Hi"))],
    "null cache": [said({**text("Hi"), "cache_control": None, "citations": None})],
    "input as text": [USER, answered(use(input_='{"a": "x')), said(returned())],
    "input as list": [USER, answered(use(input_=[1])), said(returned())],
    "orphan": [USER, ANSWER, said(returned(), text("And?"))],
    "orphan image": [USER, ANSWER, said(returned(content=[BLOCK_IMAGE]))],
    "interrupted": [USER, answered(use()), USER],
    "half interrupted": [USER, answered(use("a"), use("b")), said(returned("a"), text("Stop"))],
    "interrupted by an answer": [USER, answered(use()), ANSWER, USER],
    "same ids": [USER, answered(use("a"), use("a")), said(returned("a"), returned("a"))],
    "no ids": [
        USER,
        answered({"type": "tool_use", "name": "f"}),
        said({"type": "tool_result", "content": "x"}),
    ],
    "document": [
        said(
            text("Read."),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "A"}},
        )
    ],
    "pdf": [
        said(
            {
                "type": "document",
                "title": "a",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
            }
        )
    ],
    "document result": [
        USER,
        answered(use()),
        said(returned(content=[{"type": "document", "source": {"type": "content", "content": [text("A")]}}])),
    ],
    "search result": [
        said({"type": "search_result", "source": "https://x", "title": "t", "content": [text("A")]})
    ],
    "image result": [USER, answered(use()), said(returned(content=[text("x"), BLOCK_IMAGE]))],
    "strings in a result": [USER, answered(use()), said(returned(content=["a"]))],
    "object in a result": [USER, answered(use()), said(returned(content={"a": 1}))],
    "null text in a result": [USER, answered(use()), said(returned(content=[text(None)]))],
    "thoughts": [
        USER,
        answered({"type": "thinking", "thinking": "Hm", "signature": "x"}, text("Hello")),
        USER,
        answered({"type": "redacted_thinking", "data": "x"}, text("Hello")),
        USER,
        answered({"type": "redacted_thinking", "data": "x"}),
        USER,
    ],
    "server tools": [
        USER,
        answered(
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
            {
                "type": "web_search_tool_result",
                "tool_use_id": "s",
                "content": [
                    {"type": "web_search_result", "title": "T", "url": "https://x", "encrypted_content": "y"}
                ],
            },
            text("Found."),
        ),
        USER,
    ],
}


def made(id_: Any = "call_1", arguments: Any = "{}", **more: Any) -> Turn:
    """A tool call of /v1/responses."""
    return {"type": "function_call", "call_id": id_, "name": "f", "arguments": arguments, **more}


def output(id_: Any = "call_1", value: Any = "done", **more: Any) -> Turn:
    """A tool's result in /v1/responses."""
    return {"type": "function_call_output", "call_id": id_, "output": value, **more}


def message(role: str, *parts: Any, **more: Any) -> Turn:
    """A message of /v1/responses."""
    return {"type": "message", "role": role, "content": list(parts), **more}


def input_text(words: Any) -> Turn:
    """A text of a user."""
    return {"type": "input_text", "text": words}


def output_text(words: Any, **more: Any) -> Turn:
    """A text of the model."""
    return {"type": "output_text", "text": words, **more}


INPUT_IMAGE = {"type": "input_image", "image_url": IMAGE_URL}
RESPONSES: dict[str, list[Any]] = {
    "developers": [
        message("developer", input_text("A")),
        message("developer", input_text("B")),
        message("user", input_text("Hi")),
    ],
    "late developer": [USER, ANSWER, message("developer", input_text("A")), USER],
    "null ids": [
        {"id": None, **USER},
        message("assistant", output_text("Hello"), id=None),
        {"status": None, **USER},
    ],
    "second turn": [
        USER,
        {"type": "reasoning", "id": None, "summary": [], "encrypted_content": None},
        message("assistant", output_text("Hello")),
        USER,
    ],
    "no type": [USER, {"role": "assistant", "content": [output_text("Hello")]}, USER],
    "text parts": [
        {"role": "user", "content": [text("Hi")]},
        {"role": "assistant", "content": [text("Hello")]},
        USER,
    ],
    "several parts": [
        USER,
        message("assistant", output_text("A", annotations=[]), output_text("B"), id="m"),
        USER,
    ],
    "foreign annotations": [
        USER,
        message("assistant", output_text("A", annotations=[{"type": "x"}]), id="m", status="completed"),
    ],
    "empty answer": [USER, message("assistant"), USER],
    "empty text": [USER, message("assistant", output_text("")), USER],
    "null answer": [USER, {"role": "assistant", "content": None}, USER],
    "null user": [{"role": "user", "content": None}],
    "strings": ["Hi"],
    "reasoning": [
        USER,
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "Hm"}, {"type": "summary_text", "text": "so"}],
        },
        {"type": "reasoning", "id": "r", "content": [{"type": "text", "text": "Hm"}], "status": "done"},
        {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "gAAAA"},
        ANSWER,
        USER,
    ],
    "cut arguments": [USER, made(arguments='{"a": "x', id=None), output(id=None, status=None)],
    "object arguments": [USER, made(arguments={"a": 1}, status="done"), output()],
    "null arguments": [USER, made(arguments=None), output()],
    "orphan": [USER, output()],
    "interrupted": [USER, made("a"), made("b"), output("a"), USER],
    "results alone": [made(), output()],
    "no call ids": [
        USER,
        {"type": "function_call", "id": "fc", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "output": "x"},
    ],
    "null output": [USER, made(), output(value=None)],
    "object output": [USER, made(), output(value={"a": 1})],
    "list output": [USER, made(), output(value=[text("a"), INPUT_IMAGE])],
    "file output": [
        USER,
        made(),
        output(value=[{"type": "input_file", "filename": "a.txt", "file_data": NOTE}]),
    ],
    "file": [
        {
            "role": "user",
            "content": [
                {"type": "input_file", "file_id": "file_1"},
                {"type": "input_file", "filename": "a.txt", "file_data": NOTE},
            ],
        }
    ],
    "file image": [{"role": "user", "content": [{"type": "input_image", "file_id": "file_1"}]}],
    "item reference": [USER, {"type": "item_reference", "id": "x"}, {"id": "y"}, ANSWER, USER],
    "custom call": [
        USER,
        {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "*** Begin"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
    ],
    "shell": [
        USER,
        {
            "type": "local_shell_call",
            "id": "l",
            "call_id": "c",
            "status": "completed",
            "action": {"type": "exec", "command": ["ls"], "env": {}},
        },
        {"type": "local_shell_call_output", "id": "c", "output": "a.txt"},
    ],
    "web search": [
        USER,
        {
            "type": "web_search_call",
            "id": "w",
            "status": "completed",
            "action": {"type": "search", "query": "x"},
        },
        ANSWER,
        USER,
    ],
    "mcp": [
        USER,
        {"type": "mcp_list_tools", "id": "m", "server_label": "s", "tools": []},
        {"type": "mcp_call", "id": "m2", "name": "f", "server_label": "s", "arguments": "{}", "output": "x"},
        ANSWER,
        USER,
    ],
    "image generation": [
        USER,
        {"type": "image_generation_call", "id": "i", "status": "completed", "result": "A" * 100_000},
        USER,
    ],
    "chat messages": [USER, {"role": "assistant", "content": "", "tool_calls": [call()]}, result()],
    "unknown": [USER, {"type": "bogus", "x": 1}, USER],
    "audio": [
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]}
    ],
}


def bodies() -> dict[str, tuple[Api, dict[str, Any]]]:
    """Every conversation as a body, by its API and name."""
    named: dict[str, tuple[Api, dict[str, Any]]] = {}
    for name, turns in CHATS.items():
        named[f"chat: {name}"] = "chat", {"messages": turns}
    for name, turns in MESSAGES.items():
        named[f"messages: {name}"] = "messages", {"messages": turns, "max_tokens": 5}
        system = [{**text("Be brief."), "cache_control": {"type": "ephemeral"}}]
        named[f"messages, system: {name}"] = (
            "messages",
            {"messages": turns, "system": system, "max_tokens": 5},
        )
    for name, turns in RESPONSES.items():
        named[f"responses: {name}"] = "responses", {"input": turns}
        named[f"responses, instructions: {name}"] = "responses", {"input": turns, "instructions": "Be brief."}
    named["responses: only instructions"] = "responses", {"input": [], "instructions": "Be brief."}
    named["responses: no input"] = "responses", {"instructions": "Be brief."}
    named["messages: only system"] = "messages", {"messages": [], "system": "Be brief.", "max_tokens": 5}
    return named
