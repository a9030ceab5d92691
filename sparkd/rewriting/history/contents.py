"""The content of a turn: a text, or parts (blocks, in messages)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sparkd.rewriting.decoding import Fields, decode_array, decode_string, encode_raw, is_null
from sparkd.rewriting.history.conversation import read_kind
from sparkd.rewriting.rewrite_context import Api
from sparkd.rewriting.text import read_text_part

SYSTEM_HEADING = "[System Instruction]\n"
"""Marks a system message that had to become part of a user turn."""

RESULT_HEADING = "[Tool result]\n"
"""Marks the result of a tool that had to become part of a user turn."""

NO_RESULT = "(no result: the call was interrupted)"


def read_parts(content: msgspec.Raw | None, api: Api) -> list[msgspec.Raw]:
    """Content as parts."""
    if is_null(content):
        return []
    text = decode_string(content)
    if text is None:
        parts = decode_array(content)
        return [encode_raw(render_text(content))] if parts is None else parts
    return [make_text_part(text, api)] if text else []


def read_only_text(content: msgspec.Raw | None) -> str | None:
    """The text of content that has only text, its parts separated by blank lines; None for other content."""
    text = decode_string(content)
    if text is not None:
        return text
    if is_null(content):
        return ""
    parts = decode_array(content)
    if parts is None:
        return None
    texts = [decode_string(part) if read_kind(part) == '"' else read_text_part(part) for part in parts]
    return None if None in texts else "\n\n".join(filter(None, texts))


def is_blank(content: msgspec.Raw | None) -> bool:
    """Whether content says nothing: it is missing, null, or has only empty or blank texts.

    A string of more than 64 bytes is not even decoded: it says something.
    """
    if content is not None and read_kind(content) == '"' and len(memoryview(content)) > 64:
        return False
    text = read_only_text(content)
    return text is not None and not text.strip()


def make_text_part(text: str, api: Api) -> msgspec.Raw:
    """A part that is a text of a user or of the system."""
    return encode_raw({"type": "input_text" if api == "responses" else "text", "text": text})


def prefix_content(heading: str, content: msgspec.Raw | None, api: Api) -> msgspec.Raw:
    """Content with a text in front: a string if it is only text, otherwise parts."""
    text = read_only_text(content)
    if text is not None:
        return encode_raw(heading + text if text else heading.strip())
    return encode_raw([make_text_part(heading.strip(), api), *read_parts(content, api)])


def make_user_turn(content: object, api: Api) -> Fields:
    """A user turn."""
    turn: dict[str, object] = {"type": "message"} if api == "responses" else {}
    return {name: encode_raw(value) for name, value in {**turn, "role": "user", "content": content}.items()}


def join_contents(contents: Sequence[msgspec.Raw | None], api: Api) -> msgspec.Raw:
    """Several contents as one: a string if all are only text, otherwise parts."""
    texts = [read_only_text(content) for content in contents]
    if None in texts:
        return encode_raw([part for content in contents for part in read_parts(content, api)])
    return encode_raw("\n\n".join(filter(None, texts)))


def render_text(value: msgspec.Raw | None) -> str:
    """A value as text: a string as it is, anything else as JSON; "" for null."""
    if is_null(value) or value is None:
        return ""
    text = decode_string(value)
    return bytes(value).decode("utf-8", "replace") if text is None else text
