"""The shape of a request: what it asks for, without its texts.

Two requests with the same unusual fields, and with prompts of about the same size, have the same shape, whatever their
wording. sparkd uses shapes to recognize a request that makes its engine fail (sparkd.scheduling.suspects). So an
ordinary request must have no shape: many others would have the same one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

import msgspec
from msgspec import Struct

from sparkd.errors import InvalidRequest
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.context_window import LIMIT_FIELDS
from sparkd.rewriting.decoding import decode_value, is_null

DIGEST_SIZE: Final = 16
"""Bytes of a digest."""

_TEXTS = frozenset(
    {"messages", "input", "prompt", "system", "instructions", "documents", "query", "text_1", "text_2"}
)
"""Fields with texts, of which only the size matters."""

_VOLATILE = frozenset(
    {
        *("model", "user", "metadata", "seed", "safety_identifier", "prompt_cache_key", "cache_salt"),
        *("request_id", "previous_response_id", "client_metadata", "traceparent"),
    }
)
"""Fields that differ between repetitions of a request, or that say nothing about it."""

_USUAL = frozenset(
    {
        *(
            "stream",
            "stream_options",
            "store",
            "stop",
            "stop_sequences",
            "parallel_tool_calls",
            "service_tier",
        ),
        *("reasoning_effort", "reasoning", "thinking", "chat_template_kwargs", "include", "truncation"),
        *("encoding_format", "dimensions", "tool_choice"),
    }
)
"""Fields of ordinary requests: part of a shape, but no reason to have one."""

_USUAL_NUMBERS: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "top_k": (-1, 1000),
    "min_p": (0, 1),
    "n": (1, 1),
    "best_of": (1, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "repetition_penalty": (0.5, 2),
}
"""Fields that are ordinary within these bounds."""

_LIMITS = frozenset(name for names in LIMIT_FIELDS.values() for name in names)

_MEDIA = (b'"image_url"', b'"input_image"', b'"image"', b'"input_audio"', b'"audio_url"', b'"video_url"')
"""What a text field contains if it has more than text."""

_SMALL: Final = 4096
"""Bytes below which sizes make no difference."""

_LARGE: Final = 128 * 1024
"""Bytes of a text field that is unusual for its size alone."""

MAX_FIELDS: Final = 8
"""Fields that a shape names at most."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""Fields that a shape names: clients may send any others."""

_encode_sorted = msgspec.json.Encoder(order="sorted").encode


class Shape(Struct, frozen=True):
    """The shape of an unusual request. `fields` names what makes it unusual, if these are plain names."""

    digest: bytes
    fields: tuple[str, ...]


def find_shape(target: bytes, body: bytes | bytearray) -> Shape | None:
    """The shape of a request to that path of an engine. None for an ordinary request, and if the body is not JSON."""
    try:
        return _find_shape(target, JsonBody.parse(body), len(body))
    except (InvalidRequest, RecursionError):
        return None


def _find_shape(target: bytes, body: JsonBody, size: int) -> Shape | None:
    features: dict[str, object] = {"path": target.partition(b"?")[0].decode("latin-1")}
    unusual = []
    for name, value in body.fields.items():
        if name in _VOLATILE or is_null(value):
            continue
        if name in _TEXTS:
            text_size, media = len(memoryview(value)), _list_media(body, name)
            features[name] = [_measure(text_size), *media]
            is_unusual = text_size >= _LARGE or bool(media)
        else:
            decoded = decode_value(value)
            features[name] = _simplify(name, decoded)
            is_unusual = not _is_usual(name, decoded)
        if is_unusual:
            unusual.append(name)
    if not unusual:
        return None
    features["media size"] = _measure(size - sum(len(memoryview(value)) for value in body.fields.values()))
    names = sorted(filter(_NAME.fullmatch, unusual))[:MAX_FIELDS]
    return Shape(blake2b(_encode_sorted(features), digest_size=DIGEST_SIZE).digest(), tuple(names))


def may_have_shape(shape_fields: tuple[str, ...], body: bytes | bytearray) -> bool:
    """Whether a body may have a shape with these unusual fields. Cheap; False is certain unless names are escaped."""
    return all(b'"%b"' % name.encode() in body for name in shape_fields)


def _list_media(body: JsonBody, name: str) -> list[str]:
    return [kind.decode() for kind in _MEDIA if kind in bytes(body.fields[name])]


def _is_usual(name: str, value: Any) -> bool:
    if name in _USUAL or name in _LIMITS or value == []:
        return True
    bounds = _USUAL_NUMBERS.get(name)
    return bounds is not None and isinstance(value, int | float) and bounds[0] <= value <= bounds[1]


def _simplify(name: str, value: Any) -> object:
    """A field's value, as far as it is part of the shape: without descriptions, and a limit only by its size."""
    if name in _LIMITS and isinstance(value, int):
        return max(value, 0).bit_length()
    return _without_descriptions(value)


def _without_descriptions(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(_simplified_items(value))
    return [_without_descriptions(item) for item in value] if isinstance(value, list) else value


def _simplified_items(value: dict[Any, Any]) -> Iterator[tuple[Any, Any]]:
    for key, item in value.items():
        if not (key == "description" and isinstance(item, str)):
            yield key, _without_descriptions(item)


def _measure(size: int) -> int:
    """The power of two below a size in bytes."""
    return max(size, _SMALL).bit_length()
