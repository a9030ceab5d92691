"""Reads the error responses of engines, whatever their shape, so that clients get them in the shape of their API.

| shape | from |
|---|---|
| `{"error": {"message", "type", "code", "param"}}` | vLLM since 0.11, llama.cpp |
| `{"type": "error", "error": {"type", "message"}}` | vLLM's `/v1/messages` |
| `{"object": "error", "message", "type", "code"}` | older vLLM, SGLang |
| `{"detail": "Not Found"}`, `{"detail": [{"loc", "msg"}]}` | Starlette, FastAPI |
| `{"error": "Unauthorized"}`, `{"message": …}` | vLLM's check of keys, and others |
| HTML, text, nothing | proxies, broken engines |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from sparkd.errors import EngineRejected
from sparkd.gateway.responses.validation_errors import summarize_details, summarize_text

LONGEST = 600
"""Characters of a message that a client gets."""

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES = {
    401: "engine_unauthorized",
    403: "engine_forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "body_too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
    501: "not_supported",
    503: "engine_unavailable",
    504: "engine_timeout",
}
_NEXT_STEPS = {
    401: "It has an API key of its own. Remove `api-key` from its options; sparkd checks keys itself.",
    404: "Check the path, or use a model of another kind.",
    405: "Check the method and the path.",
    429: "Try again later.",
    500: "See `sparkctl logs {model}`.",
    503: "Try again later, or see `sparkctl logs {model}`.",
}
_BARE = frozenset({"", "error", "internal error"} | {each.phrase.casefold() for each in HTTPStatus})
_identifier = re.compile(r"[a-z][a-z0-9_]*")
_tag = re.compile(r"<(?:style|script)\b.*?</(?:style|script)>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_title = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL | re.IGNORECASE)
_message = re.compile(r'"(?:message|detail)": ?("(?:[^"\\]|\\.)*)')
"""A text in JSON, whether or not its end is there."""

_context = re.compile(r"maximum context length|context_length_exceeded|longer than the maximum model length")


def read_engine_error(status: int, body: bytes, model: str, target: str) -> EngineRejected:
    """The error in a response of the engine of `model` to `target`, such as "POST /v1/completions"."""
    fields = _fields(_parse(body))
    text = _describe(fields, status)
    param = fields.get("param")
    field = param if isinstance(param, str) and param else None
    if isinstance(fields.get("detail"), list):
        found = summarize_details(fields["detail"])
    else:
        found = summarize_text(text) if "validation error" in text or "'loc':" in text else None
    if found is not None:
        text = f'The engine of "{model}" rejects these fields: {found.text}'
        field = found.field or field
    elif _is_bare(text, status) or _is_page(fields):
        text = _explain(status, text, model, target)
    return EngineRejected(
        _cut(text), status=status, type_=_type(fields, status), code=_code(fields, status, text), param=field
    )


def error_in_event(payload: bytes, model: str, target: str) -> EngineRejected | None:
    """The error in the data of a server-sent event; None if it is not an error."""
    document = _parse(payload)
    fields = _fields(document)
    if not isinstance(document, Mapping) or not (fields.get("message") or fields.get("detail")):
        return None
    code = fields.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    return read_engine_error(status, payload, model, target)


def _parse(body: bytes) -> Any:
    """JSON, otherwise text. Of JSON that is cut off, such as a very long error, its message."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body.decode("utf-8", "replace")
    found = _message.search(text[: 4 * LONGEST])
    try:
        return msgspec.json.decode(f'{found[1]}"', type=str) if found else text
    except msgspec.DecodeError:
        return text


def _fields(document: Any) -> dict[str, Any]:
    """Message, type, code and param, or detail, as far as the document has them."""
    if isinstance(document, Mapping):
        error = document.get("error")
        if isinstance(error, Mapping):
            return dict(error)
        if isinstance(error, str):
            return {"message": error} | {key: document[key] for key in ("code", "param") if key in document}
        return dict(document)
    return {"message": document} if isinstance(document, str) else {}


def _describe(fields: Mapping[str, Any], status: int) -> str:
    """The message as a text without HTML."""
    message = fields.get("message") or fields.get("detail") or ""
    text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
    if _is_page(fields):
        title = _title.search(text)
        text = " ".join(_tag.sub(" ", title[1] if title else text).split())
    return text.strip() or _phrase(status)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _is_bare(text: str, status: int) -> bool:
    """Whether the text says no more than a status does."""
    return text.strip(" .").casefold().removeprefix(str(status)).strip() in _BARE


def _is_page(fields: Mapping[str, Any]) -> bool:
    """Whether the error is an HTML page, whose title says nothing to a user of an API."""
    message = fields.get("message")
    return isinstance(message, str) and message.lstrip().startswith("<")


def _explain(status: int, text: str, model: str, target: str) -> str:
    if status in (404, 405):
        happened = f'The engine of "{model}" does not serve {target}.'
    else:
        words = text.removeprefix(f"{status} ").strip(" .")
        happened = f'The engine of "{model}" answered {target} with {status}: {words}.'
    step = _NEXT_STEPS.get(status) or (_NEXT_STEPS[500] if status >= 500 else "Check the request.")
    return f"{happened} {step.format(model=model)}"


def _type(fields: Mapping[str, Any], status: int) -> str:
    """The engine's type if it is one of an API (`invalid_request_error`), not the name of a class."""
    given = fields.get("type")
    if isinstance(given, str) and given.endswith("_error") and given != "internal_error":
        return given
    if status in _TYPES:
        return _TYPES[status]
    if status < 500:
        return "invalid_request_error"
    return "service_unavailable_error" if status == 503 else "server_error"


def _code(fields: Mapping[str, Any], status: int, text: str) -> str:
    given = fields.get("code")
    if isinstance(given, str) and _identifier.fullmatch(given):
        return given
    if status == 400 and _context.search(text):
        return "context_length_exceeded"
    return _CODES.get(status) or ("invalid_request" if status < 500 else "engine_error")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 2].rstrip() + " …"
