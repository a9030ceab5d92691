"""One request, what sparkd makes of it, and what the engine answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
RESPONSES, MESSAGES = "/v1/responses", "/v1/messages"

HELLO = "Hello from the scripted model."
REMEMBERED = "I remember: the note said lighthouse."
"""The answer of tests/scripted_llama.py if the result of a tool has reached its chat template."""

HI: Mapping[str, Any] = {"role": "user", "content": "hi"}
READ: Mapping[str, Any] = {"role": "user", "content": "Read the note"}
RECALL: Mapping[str, Any] = {"role": "user", "content": "What did the note say?"}


class Case(NamedTuple):
    """A request that is served. `rules` are among those in the response's header; `answer` is what the engine says.

    `body` is JSON, or its bytes, in which `MODEL` stands for the model's name. No `answer`: any.
    """

    name: str
    path: str
    body: Mapping[str, Any] | bytes
    rules: frozenset[str] = frozenset()
    answer: str | None = HELLO

    def encode(self, model: str, *, stream: bool) -> bytes:
        """The bytes to send."""
        if isinstance(self.body, bytes):
            streamed = b'{"stream":true,' if stream else b"{"
            return self.body.replace(b"MODEL", model.encode()).replace(b"{", streamed, 1)
        return json.dumps({"model": model, **self.body, "stream": stream}).encode()


def chat(
    name: str, messages: Any = (HI,), rules: str = "", answer: str | None = HELLO, **fields: Any
) -> Case:
    """A chat."""
    body = {"messages": messages, "max_tokens": 40, **fields}
    return Case(f"chat: {name}", CHAT, body, frozenset(rules.split()), answer)


def responses(
    name: str, input_: Any = "hi", rules: str = "", answer: str | None = HELLO, **fields: Any
) -> Case:
    """A request to /v1/responses."""
    body = {"input": input_, "max_output_tokens": 40, **fields}
    return Case(f"responses: {name}", RESPONSES, body, frozenset(rules.split()), answer)


def messages(
    name: str, turns: Any = (HI,), rules: str = "", answer: str | None = HELLO, **fields: Any
) -> Case:
    """A request to /v1/messages."""
    body = {"messages": turns, "max_tokens": 40, **fields}
    return Case(f"messages: {name}", MESSAGES, body, frozenset(rules.split()), answer)


def completion(name: str, rules: str = "", **fields: Any) -> Case:
    """A request to /v1/completions. The scripted model answers nothing that can be foreseen."""
    return Case(
        f"completions: {name}",
        COMPLETIONS,
        {"prompt": "hi", "max_tokens": 4, **fields},
        frozenset(rules.split()),
        None,
    )


def calling(*ids: str, arguments: Any = '{"path": "note.txt"}') -> dict[str, Any]:
    """An assistant's message in a chat that calls a tool."""
    function = {"name": "read_note", "arguments": arguments}
    calls = [{"id": id_, "type": "function", "function": function} for id_ in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(id_: str, content: Any = "lighthouse") -> dict[str, Any]:
    """The result of a tool in a chat."""
    return {"role": "tool", "tool_call_id": id_, "content": content}


def item_call(id_: str, **fields: Any) -> dict[str, Any]:
    """A call of a tool in /v1/responses."""
    call = {"type": "function_call", "call_id": id_, "name": "read_note", "arguments": '{"path": "note.txt"}'}
    return {**call, **fields}


def item_result(id_: str, output: Any = "lighthouse", **fields: Any) -> dict[str, Any]:
    """The result of a tool in /v1/responses."""
    return {"type": "function_call_output", "call_id": id_, "output": output, **fields}


def block_call(id_: str, **fields: Any) -> dict[str, Any]:
    """A call of a tool in /v1/messages."""
    return {"type": "tool_use", "id": id_, "name": "read_note", "input": {"path": "note.txt"}, **fields}


def block_result(id_: str, content: Any = "lighthouse", **fields: Any) -> dict[str, Any]:
    """The result of a tool in /v1/messages."""
    return {"type": "tool_result", "tool_use_id": id_, "content": content, **fields}


def turn(role: str, content: Any) -> dict[str, Any]:
    """A message, or an item of /v1/responses."""
    return {"role": role, "content": content}
