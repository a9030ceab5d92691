"""The items of /v1/responses: completed, and in shapes that engines accept.

Clients replay what a server sent them, without what they think is no matter: ids, states, annotations. Engines validate
an item against dozens of types, and reject the whole request for one item that matches none.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import Fields, decode_array, decode_object, decode_string, encode_raw, is_null
from sparkd.rewriting.history.contents import make_user_turn, read_only_text, render_text
from sparkd.rewriting.history.conversation import (
    NewTurn,
    read_conversation,
    read_kind,
    replace_turns,
    with_values,
)
from sparkd.rewriting.history.foreign_items import convert_foreign_item
from sparkd.rewriting.history.item_parts import fix_content
from sparkd.rewriting.history.reasoning_items import fix_reasoning, merge_reasoning
from sparkd.rewriting.rewrite_context import RewriteContext

_STATES = ("in_progress", "completed", "incomplete")
_INPUT_ROLES = ("user", "system", "developer")


def fix_items(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Complete every item, and convert or remove those that engines do not know."""
    conversation = read_conversation(context, body)
    if conversation is None:
        return body
    changes: dict[int, Sequence[NewTurn]] = {}
    for index, turn in enumerate(conversation.turns):
        new = _fix_item(index, turn) if turn else _fix_other(conversation.raw_turns[index])
        if new is not None:
            changes[index] = new
    return merge_reasoning(context, replace_turns(context, body, conversation, changes))


def _fix_other(raw: msgspec.Raw) -> Sequence[NewTurn] | None:
    """What replaces an item that is not an object: a string is a user's text."""
    if read_kind(raw) in "{[":
        return None
    text = render_text(raw)
    return [make_user_turn(text, "responses")] if text else []


def _fix_item(index: int, turn: Fields) -> Sequence[NewTurn] | None:
    kind = decode_string(turn.get("type"))
    role = decode_string(turn.get("role"))
    if kind in (None, "message") and role is not None:
        return _fix_message(role, turn)
    without_role = {name: value for name, value in turn.items() if name != "role"}  # it has none
    fixed = _fix_typed_item(index, kind, without_role)
    return [without_role] if fixed is None and "role" in turn else fixed


def _fix_typed_item(index: int, kind: str | None, turn: Fields) -> Sequence[NewTurn] | None:
    if kind == "reasoning":
        return fix_reasoning(index, turn)
    if kind == "function_call":
        return _fix_call(index, turn)
    if kind == "function_call_output":
        return _fix_output(turn)
    return convert_foreign_item(index, kind, turn)


def _fix_message(role: str, turn: Fields) -> Sequence[NewTurn] | None:
    if role == "assistant":
        return _fix_answer(turn)
    if role == "tool":
        output = {"call_id": turn.get("tool_call_id"), "output": turn.get("content")}
        fields = {name: value for name, value in output.items() if value is not None}
        new = {"type": encode_raw("function_call_output"), **fields}
        return _fix_output(new) or [new]
    if role not in _INPUT_ROLES:
        return None
    fixed = _without_wrong(turn, {"type": ("message",), "status": _STATES})
    fixed = fix_content(fixed, "content")
    return None if fixed is turn else [fixed]


def _fix_answer(turn: Fields) -> Sequence[NewTurn] | None:
    """An assistant's message. Engines read only the first part of its content, so several become one text."""
    calls = _read_calls(turn)
    content = turn.get("content")
    if not calls and (read_kind(content) == '"' or _is_complete(turn)):
        return None
    parts = decode_array(content)
    texts = [render_text(content)] if parts is None else [_read_answer_text(part) for part in parts]
    status = {"status": turn["status"]} if decode_string(turn.get("status")) in _STATES else {}
    message = {**with_values({}, {"type": "message", "role": "assistant"}), **status}
    message["content"] = encode_raw("\n\n".join(filter(None, texts)))
    return [*([message] if any(texts) or not calls else []), *calls]


def _is_complete(turn: Fields) -> bool:
    parts = decode_array(turn.get("content"))
    if not parts or len(parts) != 1 or not decode_string(turn.get("id")):
        return False
    part = decode_object(parts[0]) or {}
    return (
        decode_string(turn.get("type")) == "message"
        and decode_string(turn.get("status")) in _STATES
        and decode_string(turn.get("phase")) in (None, "commentary", "final_answer")
        and decode_string(part.get("type")) == "output_text"
        and decode_string(part.get("text")) is not None
        and decode_array(part.get("annotations")) == []
        and not decode_array(part.get("logprobs"))
        and read_kind(part.get("logprobs")) in ("", "n", "[")
    )


def _read_answer_text(part: msgspec.Raw) -> str:
    fields = decode_object(part)
    if fields is None:
        return render_text(part)
    text = next(filter(None, (decode_string(fields.get(name)) for name in ("text", "refusal"))), None)
    return text or ""


def _read_calls(turn: Fields) -> list[NewTurn]:
    """Tool calls inside a message, as in a chat: engines would lose them."""
    calls: list[NewTurn] = []
    for call in decode_array(turn.get("tool_calls")) or ():
        fields = decode_object(call) or {}
        function = decode_object(fields.get("function"))
        if function is not None:
            given = {"call_id": fields.get("id"), "arguments": function.get("arguments")}
            name = decode_string(function.get("name")) or "unknown"
            new = with_values({}, {"type": "function_call", "name": name})
            calls.append(new | {key: value for key, value in given.items() if value is not None})
    return calls


def _fix_call(index: int, turn: Fields) -> Sequence[NewTurn] | None:
    fixed = _without_wrong(turn, {"status": _STATES})
    wrong = [
        name
        for name in ("id", "namespace", "caller", "async")
        if read_kind(fixed.get(name)) not in ('"', "n", "")
    ]
    if wrong:
        fixed = {name: value for name, value in fixed.items() if name not in wrong}
    values: dict[str, object] = {}
    if not decode_string(fixed.get("call_id")):
        values["call_id"] = decode_string(fixed.get("id")) or f"call_{index}"
    if not decode_string(fixed.get("name")):
        values["name"] = "unknown"
    if values:
        fixed = with_values(fixed, values)
    return None if fixed is turn else [fixed]


def _fix_output(turn: Fields) -> Sequence[NewTurn] | None:
    fixed = _without_wrong(turn, {"status": _STATES})
    wrong = [
        name
        for name in ("id", "call_id", "name", "namespace", "caller")
        if read_kind(fixed.get(name)) not in ('"', "n", "")
    ]
    if wrong:
        fixed = {name: value for name, value in fixed.items() if name not in wrong}
    fixed = fix_content(fixed, "output")
    text = read_only_text(fixed["output"])
    if text is not None and read_kind(fixed["output"]) != '"':  # some engines accept no parts in an output
        fixed = with_values(fixed, {"output": text})
    return None if fixed is turn else [fixed]


def _without_wrong(turn: Fields, choices: dict[str, Sequence[str]]) -> Fields:
    """The fields without those that are neither null nor among their choices."""
    wrong = [
        name
        for name, allowed in choices.items()
        if name in turn and not is_null(turn[name]) and decode_string(turn[name]) not in allowed
    ]
    return {name: value for name, value in turn.items() if name not in wrong} if wrong else turn
