"""Asks an engine how many tokens a stream used, where the client did not: `stream_options.include_usage`.

What the engine sends because of it is taken out of the stream again, see usage_filter.py.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from sparkd.catalog.definitions import Model
from sparkd.engines.flags import find_option
from sparkd.rewriting import JsonBody
from sparkd.rewriting.decoding import decode_object
from sparkd.rewriting.history.conversation import read_kind
from sparkd.rewriting.rewrite_context import Api

_APIS: Final[frozenset[Api]] = frozenset({"chat", "completions"})
"""APIs whose streams have no usage unless the client asks for it."""

_ALWAYS_SENT: Final = ("enable-force-include-usage", "stream-response-default-include-usage")
"""Options of vLLM and SGLang with which every stream has the usage, so that clients expect it."""

_FIELD: Final = "stream_options"
_TRUE: Final = msgspec.Raw(b"true")
_FALSE: Final = (None, msgspec.Raw(b"false"), msgspec.Raw(b"null"))
_ONE: Final = (None, msgspec.Raw(b"1"), msgspec.Raw(b"null"))


def is_streamed(body: JsonBody) -> bool:
    """Whether the request is for a stream."""
    return body.fields.get("stream") == _TRUE


def may_be_asked(model: Model) -> bool:
    """Whether the engine of the model may be asked for the usage where a client has not asked."""
    is_asked = model.engine != "command" if model.ask_usage is None else model.ask_usage
    return is_asked and not any(find_option(model.options, name) for name in _ALWAYS_SENT)


def ask_for_usage(model: Model, api: Api, body: JsonBody) -> JsonBody:
    """The body of a request for a stream with a request for the usage.

    The same object if it has one, or the stream must be left alone. The engine may be asked.
    """
    if api not in _APIS or (model.engine == "vllm" and not _has_one_choice(body)):
        return body
    given = body.fields.get(_FIELD)
    if given is None:
        return body.with_new_field(_FIELD, {"include_usage": True})
    options: dict[str, Any] | None = {} if given in _FALSE else decode_object(given)
    if options is None or options.get("include_usage") not in _FALSE:
        return body  # the client has asked, or the engine will reject what it sent
    # Without `include_usage`, engines ignore this option, so with it they must not get it.
    kept = {name: value for name, value in options.items() if name != "continuous_usage_stats"}
    return body.with_field(_FIELD, {**kept, "include_usage": True})


def _has_one_choice(body: JsonBody) -> bool:
    """Whether the response has certainly one choice, so that the usage follows its last chunk at once."""
    return body.fields.get("n") in _ONE and read_kind(body.fields.get("prompt")) != "["


class UsageAsking:
    """Asks for the usage of streams, for the models of one catalogue."""

    def __init__(self) -> None:
        self._may_be_asked: dict[str, bool] = {}

    def ask(self, model: Model, api: Api, body: JsonBody) -> JsonBody:
        """The body with a request for the usage, or the same object if it needs none, or must not have one."""
        may_ask = self._may_be_asked.get(model.id)
        if may_ask is None:
            may_ask = self._may_be_asked[model.id] = may_be_asked(model)
        return ask_for_usage(model, api, body) if may_ask else body
