"""Documents in a conversation: engines take none. One of plain text becomes that text, any other a note.

They come as `file` (chat), `input_file` (responses), `document` and `search_result` (messages), in a user's turn or in
the result of a tool.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import Fields, decode_array, decode_object, decode_string, encode_raw
from sparkd.rewriting.history.contents import make_text_part
from sparkd.rewriting.history.conversation import NewTurn, fix_turns
from sparkd.rewriting.rewrite_context import Api, RewriteContext

DOCUMENT_TYPES = frozenset({"file", "input_file", "document", "search_result"})

_CONTENT_FIELDS = ("content", "output")
_TEXT_TYPES = ("text/", "application/json", "application/xml", "application/yaml", "application/toml")


def inline_documents(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Replace each document by its text, or by a note that names it."""
    return fix_turns(context, body, lambda context, turn: _fix_turn(body, context.api, turn))


def _fix_turn(body: JsonBody, api: Api, turn: Fields) -> list[NewTurn] | None:
    fixed = _fix_contents(body, api, turn)
    return None if fixed is turn else [fixed]


def _fix_contents(body: JsonBody, api: Api, fields: Fields, *, nested: bool = True) -> Fields:
    """A turn, or the result of a tool, without documents."""
    for name in _CONTENT_FIELDS:
        parts = decode_array(fields.get(name))
        fixed = [_fix_part(body, api, part, nested=nested) for part in parts or ()]
        if parts and any(new is not old for new, old in zip(fixed, parts, strict=True)):
            fields = {**fields, name: encode_raw(fixed)}
    return fields


def _fix_part(body: JsonBody, api: Api, part: msgspec.Raw, *, nested: bool) -> msgspec.Raw:
    fields = decode_object(part) or {}
    kind = decode_string(fields.get("type"))
    if kind in DOCUMENT_TYPES:
        return make_text_part(_render_document(body, fields), api)
    if kind == "tool_result" and nested:
        fixed = _fix_contents(body, api, fields, nested=False)
        return part if fixed is fields else encode_raw(fixed)
    return part


def _render_document(body: JsonBody, part: Fields) -> str:
    source = decode_object(part.get("source")) or decode_object(part.get("file")) or part
    names = [fields.get(key) for fields in (part, source) for key in ("title", "filename", "name", "file_id")]
    name = next(filter(None, map(decode_string, names)), "untitled")
    text = _read_text(body, part, source)
    if text is not None:
        return f'<document name="{name}">\n{text}\n</document>'
    address = next(filter(None, (decode_string(source.get(key)) for key in ("url", "file_url"))), None)
    place = f" at {address}" if address and not address.startswith("data:") else ""
    return f'(the document "{name}"{place}, left out: the model reads only text)'


def _read_text(body: JsonBody, part: Fields, source: Fields) -> str | None:
    """The text of a document; None if it is not plain text, or is elsewhere."""
    for content in (part.get("content"), source.get("content")):
        texts = [
            decode_string((decode_object(item) or {}).get("text")) for item in decode_array(content) or ()
        ]
        if texts or decode_string(content):
            return "\n".join(filter(None, texts)) or decode_string(content)
    data = decode_string(source.get("data")) or decode_string(source.get("file_data")) or ""
    if decode_string(source.get("type")) == "text":
        return body.restore_text(data)
    media_type = decode_string(source.get("media_type")) or ""
    if data.startswith("data:"):
        head, _, data = data.partition(",")
        media_type = head.removeprefix("data:").partition(";")[0]
    if not media_type.startswith(_TEXT_TYPES):
        return None
    return _decode_base64(body.restore_text(data))


def _decode_base64(data: str) -> str | None:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
