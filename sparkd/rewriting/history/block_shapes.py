"""The shapes of /v1/messages: content and blocks that engines reject."""

from __future__ import annotations

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import (
    Fields,
    decode_array,
    decode_object,
    decode_string,
    encode_raw,
    read_type,
)
from sparkd.rewriting.history.contents import make_text_part, render_text
from sparkd.rewriting.history.conversation import (
    NewTurn,
    fix_turns,
    read_conversation,
    read_kind,
    with_values,
)
from sparkd.rewriting.history.traits import UNUSUAL
from sparkd.rewriting.rewrite_context import RewriteContext

KNOWN_BLOCKS = frozenset(
    {"image", "tool_use", "tool_result", "tool_reference", "thinking", "tool_addition", "tool_removal"}
)
"""Types of blocks, beside `text`, that engines accept. They ignore redacted thinking, or reject it."""

_EMPTY_TEXT = encode_raw("")
_SILENT_BLOCKS = frozenset({"redacted_thinking", "compaction", "fallback"})
_RESULT_SUFFIX = "_tool_result"


def fix_messages(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Give every message and the system prompt a shape that engines accept."""
    body = _fix_system(body)
    conversation = read_conversation(context, body)
    if conversation is None or not conversation.has_trait("messages", UNUSUAL):
        return body
    return fix_turns(context, body, _fix_message)


def _fix_system(body: JsonBody) -> JsonBody:
    system = body.fields.get("system")
    if read_kind(system) in ("", '"', "n"):
        return body
    fixed = _fix_blocks({"content": system} if system is not None else {})["content"]
    blocks = decode_array(fixed) or []
    texts = [block for block in blocks if read_type(block) == "text"]
    if len(texts) < len(blocks):
        return body.with_field("system", texts or "")  # engines read nothing else
    return body if fixed is system else body.with_field("system", fixed)


def _fix_message(_: RewriteContext, turn: Fields) -> list[NewTurn] | None:
    if "role" not in turn:
        return None
    fixed = _fix_blocks(turn)
    return None if fixed is turn else [fixed]


def _fix_blocks(fields: Fields) -> Fields:
    """A message, or a tool result, with content that engines accept."""
    content = fields.get("content")
    kind = read_kind(content)
    if kind == '"':
        return fields
    if kind not in ("[", "{") or content is None:
        return with_values(fields, {"content": render_text(content)})
    object_ = decode_object(content)
    if object_ is not None and "type" not in object_:
        return with_values(fields, {"content": render_text(content)})
    blocks = [content] if object_ is not None else decode_array(content) or []
    fixed = [new for block in blocks if (new := _fix_block(block)) is not None]
    same = object_ is None and len(fixed) == len(blocks)
    if fixed and same and all(new is old for new, old in zip(fixed, blocks, strict=True)):
        return fields
    return with_values(fields, {"content": fixed or ""})


def _fix_block(block: msgspec.Raw) -> msgspec.Raw | None:
    fields = decode_object(block)
    if fields is None:
        text = render_text(block)
        return make_text_part(text, "messages") if text else None
    kind = decode_string(fields.get("type"))
    if kind == "text" or (kind is None and "text" in fields):
        return _fix_text(block, fields)
    if kind == "tool_result":
        fixed = _fix_result(fields)
        return block if fixed is fields else encode_raw(fixed)
    if kind in KNOWN_BLOCKS:
        is_silent = kind == "thinking" and read_kind(fields.get("thinking")) in ("", "n")
        return None if is_silent else block
    return None if kind in _SILENT_BLOCKS else _convert_block(kind, fields)


def _convert_block(kind: str | None, fields: Fields) -> msgspec.Raw:
    """A block of another type as one that engines know."""
    if kind == "image_url":
        return _convert_image(fields)
    return make_text_part(_describe_block(kind, fields), "messages")


def _fix_text(block: msgspec.Raw, fields: Fields) -> msgspec.Raw | None:
    text = fields.get("text")
    if read_kind(text) in ("", "n") or text == _EMPTY_TEXT:
        return None
    if read_kind(text) == '"' and "type" in fields:
        return block
    return encode_raw(with_values(fields, {"type": "text", "text": render_text(text)}))


def _fix_result(fields: Fields) -> Fields:
    return fields if read_kind(fields.get("content")) in ("", "n") else _fix_blocks(fields)


def _convert_image(fields: Fields) -> msgspec.Raw:
    """An image of a chat as a block."""
    link = fields.get("image_url")
    url = decode_string(link) or decode_string((decode_object(link) or {}).get("url")) or ""
    head, separator, data = url.partition(";base64,")
    if separator and head.startswith("data:"):
        media_type = head.removeprefix("data:")
        source = {"type": "base64", "media_type": media_type, "data": data}
    else:
        source = {"type": "url", "url": url}
    return encode_raw({"type": "image", "source": source})


def _describe_block(kind: str | None, fields: Fields) -> str:
    """A block of a tool that another vendor's server ran, as text: what was called, or what it returned."""
    name = decode_string(fields.get("name")) or kind or "unknown"
    if kind is not None and kind.endswith(_RESULT_SUFFIX):
        return f"[{kind.removesuffix(_RESULT_SUFFIX)} result]\n{_render_result(fields.get('content'))}"
    if "input" in fields:
        return f"[{name}] {render_text(fields['input'])}"
    text = decode_string(fields.get("text"))
    return f"({name}, left out)" if text is None else text


def _render_result(content: msgspec.Raw | None) -> str:
    lines = []
    for item in decode_array(content) or ():
        fields = decode_object(item) or {}
        texts = [decode_string(fields.get(name)) for name in ("text", "title", "url")]
        lines.append(" ".join(filter(None, texts)))
    return "\n".join(filter(None, lines)) or render_text(content)
