"""The parts of an item of /v1/responses: of a message, or of a tool's result."""

from __future__ import annotations

import msgspec

from sparkd.rewriting.decoding import Fields, decode_array, decode_object, decode_string, encode_raw
from sparkd.rewriting.history.contents import make_text_part, render_text
from sparkd.rewriting.history.conversation import read_kind, with_values

_TEXT_TYPES = ("input_text", "text", "output_text", "summary_text", "reasoning_text")
_IMAGE_TYPES = ("input_image", "image_url", "image", "computer_screenshot")


def fix_content(fields: Fields, name: str) -> Fields:
    """The same item, with parts in `name` that engines accept."""
    content = fields.get(name)
    kind = read_kind(content)
    if kind == '"':
        return fields
    object_ = decode_object(content)
    parts = [content] if object_ is not None and "type" in object_ else decode_array(content)
    if parts is None or content is None:
        return with_values(fields, {name: render_text(content)})
    fixed = [new for part in parts if part is not None and (new := _fix_part(part)) is not None]
    same = object_ is None and len(fixed) == len(parts)
    if fixed and same and all(new is old for new, old in zip(fixed, parts, strict=True)):
        return fields
    return with_values(fields, {name: fixed or ""})


def _fix_part(part: msgspec.Raw) -> msgspec.Raw | None:
    fields = decode_object(part)
    if fields is None:
        return None if read_kind(part) == "n" else make_text_part(render_text(part), "responses")
    kind = decode_string(fields.get("type"))
    if kind in _TEXT_TYPES or (kind is None and "text" in fields):
        text = fields.get("text")
        if kind == "input_text" and read_kind(text) == '"':
            return part
        return None if read_kind(text) in ("", "n") else make_text_part(render_text(text), "responses")
    if kind in _IMAGE_TYPES:
        return _fix_image(part, kind, fields)
    said = decode_string(fields.get("text")) or decode_string(fields.get("refusal"))
    return make_text_part(said or f"({kind or 'a part without a type'}, left out)", "responses")


def _fix_image(part: msgspec.Raw, kind: str | None, fields: Fields) -> msgspec.Raw:
    """An image as engines accept it: at an address, with a detail."""
    link = fields.get("image_url")
    url = decode_string(link) or decode_string((decode_object(link) or {}).get("url"))
    source = decode_object(fields.get("source"))
    if url is None and source is not None:
        media_type = decode_string(source.get("media_type")) or "image/jpeg"
        data = decode_string(source.get("data"))
        url = decode_string(source.get("url")) if data is None else f"data:{media_type};base64,{data}"
    if url is None:
        return make_text_part("(an image, left out)", "responses")
    detail = decode_string(fields.get("detail"))
    is_right = kind == "input_image" and read_kind(link) == '"' and "file_id" not in fields
    if is_right and detail in ("low", "high", "auto"):
        return part
    new_detail = detail if detail in ("low", "high", "auto") else "auto"
    return encode_raw({"type": "input_image", "image_url": url, "detail": new_detail})
