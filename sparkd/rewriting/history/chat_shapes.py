"""The shapes of chat messages: content, parts, names and tool calls that engines reject, or templates cannot render."""

from __future__ import annotations

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import Fields, decode_array, decode_object, decode_string, encode_raw, is_null
from sparkd.rewriting.history.contents import is_blank, make_text_part, render_text
from sparkd.rewriting.history.conversation import NewTurn, fix_turns, read_kind, with_values
from sparkd.rewriting.rewrite_context import RewriteContext

KNOWN_PARTS = frozenset(
    {"text", "thinking", "refusal", "image_url", "image_embeds", "audio_url", "audio_embeds", "input_audio"}
    | {"video_url", "video_embeds", "prompt_embeds", "tool_reference", "input_text", "output_text"}
)
"""Types of parts that engines accept."""

_SILENT_PARTS = frozenset({"redacted_thinking", "reasoning.encrypted"})
_REASONING_FIELDS = ("reasoning", "reasoning_content")


def fix_chat_messages(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Give every message a shape that engines accept. What none accepts is removed, the rest is kept."""
    return fix_turns(context, body, _fix_message)


def _fix_message(_: RewriteContext, turn: Fields) -> list[NewTurn] | None:
    fixed = _fix_fields(turn)
    if "content" in fixed:
        fixed = _fix_content(fixed)
    if "tool_calls" in fixed:
        fixed = _fix_tool_calls(fixed)
    return None if fixed is turn else [fixed]


def _fix_fields(turn: Fields) -> Fields:
    """Without a name or a reasoning that is not a string; a refusal becomes content if there is no other."""
    wrong = [name for name in ("name",) if name in turn and read_kind(turn[name]) != '"']
    wrong += [name for name in _REASONING_FIELDS if name in turn and read_kind(turn[name]) not in '"n']
    if wrong:
        turn = {name: value for name, value in turn.items() if name not in wrong}
    if decode_string(turn.get("role")) == "function":
        turn = with_values(turn, {"role": "tool"})
    if "function_call" in turn:
        turn = _replace_function_call(turn)
    refusal = turn.get("refusal")
    if (
        refusal is not None
        and read_kind(refusal) == '"'
        and is_blank(turn.get("content"))
        and not is_blank(refusal)
    ):
        turn = {**turn, "content": refusal, "refusal": encode_raw(None)}
    return turn


def _replace_function_call(turn: Fields) -> Fields:
    """A message with a tool call in place of the deprecated `function_call`, which chat templates do not know."""
    function = decode_object(turn["function_call"])
    if function is None:
        return turn if is_null(turn["function_call"]) else _without(turn, "function_call")
    call = encode_raw({"type": "function", "function": function})
    calls = [*(decode_array(turn.get("tool_calls")) or ()), call]
    return with_values(_without(turn, "function_call"), {"tool_calls": calls})


def _without(turn: Fields, name: str) -> Fields:
    return {key: value for key, value in turn.items() if key != name}


def _fix_content(turn: Fields) -> Fields:
    content = turn["content"]
    kind = read_kind(content)
    if kind == '"':
        return turn
    if kind == "n":
        return turn if decode_string(turn.get("role")) == "assistant" else with_values(turn, {"content": ""})
    if kind == "{":
        is_part = "type" in (decode_object(content) or {})
        parts = [content if is_part else make_text_part(render_text(content), "chat")]
        return _fix_parts(turn, parts, is_new=True)
    if kind == "[":
        return _fix_parts(turn, decode_array(content) or [], is_new=False)
    return with_values(turn, {"content": render_text(content)})


def _fix_parts(turn: Fields, parts: list[msgspec.Raw], *, is_new: bool) -> Fields:
    is_answer = decode_string(turn.get("role")) == "assistant"
    thoughts = [thought for part in parts if is_answer and (thought := _read_signed_thought(part))]
    if thoughts:
        parts = [part for part in parts if _read_signed_thought(part) is None]
        if all(is_null(turn.get(name)) for name in _REASONING_FIELDS):
            turn = with_values(turn, {"reasoning": "\n\n".join(thoughts)})
    fix = _fix_result_part if decode_string(turn.get("role")) == "tool" else _fix_part
    fixed = [new for part in parts if (new := fix(part)) is not None]
    same = not is_new and not thoughts and len(fixed) == len(parts)
    if same and all(new is old for new, old in zip(fixed, parts, strict=True)):
        return turn
    return with_values(turn, {"content": fixed or ""})


def _read_signed_thought(part: msgspec.Raw) -> str | None:
    """The text of another vendor's thinking, which has a signature."""
    fields = decode_object(part) or {}
    if "signature" not in fields or decode_string(fields.get("type")) != "thinking":
        return None
    return decode_string(fields.get("thinking")) or ""


def _fix_part(part: msgspec.Raw) -> msgspec.Raw | None:
    fields = decode_object(part)
    if fields is None:
        return _fix_bare_part(part)
    type_ = decode_string(fields.get("type"))
    if type_ in ("text", "input_text", "output_text", "refusal"):
        return _fix_text_part(part, fields, "refusal" if type_ == "refusal" else "text")
    if type_ in ("image_url", "input_image", "image"):
        return _fix_image(part, fields, type_)
    if type_ in KNOWN_PARTS:
        return part
    if type_ is None:
        return _fix_untyped_part(part, fields)
    text = decode_string(fields.get("text"))
    note = f"({type_}, left out)" if text is None else text
    return None if type_ in _SILENT_PARTS else make_text_part(note, "chat")


def _fix_untyped_part(part: msgspec.Raw, fields: Fields) -> msgspec.Raw:
    """A part without a type. vLLM infers one from `image_url` and the like; any other is a text."""
    if not fields.keys().isdisjoint(KNOWN_PARTS - {"text"}):
        return part
    text = decode_string(fields.get("text"))
    return make_text_part(render_text(part) if text is None else text, "chat")


def _fix_result_part(part: msgspec.Raw) -> msgspec.Raw | None:
    """A part of a tool's result: unlike in other messages, vLLM takes no strings there."""
    return make_text_part(render_text(part), "chat") if read_kind(part) == '"' else _fix_part(part)


def _fix_bare_part(part: msgspec.Raw) -> msgspec.Raw | None:
    """A part that is not an object: engines accept strings."""
    kind = read_kind(part)
    if kind == '"':
        return part
    return None if kind == "n" else make_text_part(render_text(part), "chat")


def _fix_text_part(part: msgspec.Raw, fields: Fields, name: str) -> msgspec.Raw | None:
    kind = read_kind(fields.get(name))
    if kind == '"':
        return part
    return None if kind in ("", "n") else encode_raw(with_values(fields, {name: render_text(fields[name])}))


def _fix_image(part: msgspec.Raw, fields: Fields, type_: str) -> msgspec.Raw:
    """An image as chat has them; clients also send those of the other APIs, or a plain address."""
    link = fields.get("image_url")
    if type_ == "image":
        source = decode_object(fields.get("source")) or {}
        media_type = decode_string(source.get("media_type")) or "image/jpeg"
        data = decode_string(source.get("data"))
        url = decode_string(source.get("url")) if data is None else f"data:{media_type};base64,{data}"
    else:
        url = decode_string(link)
    if url is None:
        return part
    return encode_raw({"type": "image_url", "image_url": {"url": url}})


def _fix_tool_calls(turn: Fields) -> Fields:
    calls = decode_array(turn["tool_calls"])
    if calls is None:
        return turn if is_null(turn["tool_calls"]) else _without(turn, "tool_calls")
    fixed = [new for call in calls if (new := _fix_call(call)) is not None]
    if not fixed:
        return _without(turn, "tool_calls")
    same = len(fixed) == len(calls) and all(new is old for new, old in zip(fixed, calls, strict=True))
    return turn if same else with_values(turn, {"tool_calls": fixed})


def _fix_call(call: msgspec.Raw) -> msgspec.Raw | None:
    """A call of a function; None if it calls nothing."""
    fields = decode_object(call)
    if fields is None:
        return None
    custom = decode_object(fields.get("custom"))
    function = decode_object(fields.get("function")) or custom or (fields if "name" in fields else None)
    if function is None:
        return None
    is_right = decode_string(fields.get("type")) == "function" and decode_object(fields.get("function"))
    if is_right and read_kind(function.get("name")) == '"':
        return call
    new = {name: value for name, value in fields.items() if name in ("id", "index")}
    arguments = function.get("arguments")
    if arguments is None and "input" in function:
        arguments = encode_raw(bytes(encode_raw({"input": render_text(function["input"])})).decode())
    called = {"name": decode_string(function.get("name")) or "unknown", "arguments": arguments}
    return encode_raw({**new, "type": "function", "function": called})
