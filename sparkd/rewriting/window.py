"""The model's context: what cannot fit is refused, and nobody asks for more tokens than are left."""

from __future__ import annotations

from typing import Any

import msgspec

from sparkd.catalog.definitions import Model
from sparkd.errors import ContextExceeded, InvalidRequest
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.case import Api, Case
from sparkd.rewriting.decoding import is_null, items_of, value_of
from sparkd.rewriting.prompt import Count, count_beyond, count_prompt

LIMITS: dict[Api, tuple[str, ...]] = {
    "chat": ("max_completion_tokens", "max_tokens"),
    "completions": ("max_tokens",),
    "responses": ("max_output_tokens",),
    "messages": ("max_tokens",),
}
"""The fields that limit an answer's tokens, the one that counts first."""

LEAST_MARGIN = 512


def context_length(model: Model) -> int | None:
    """Tokens of prompt and answer together: what the catalogue declares, or else the engine's flag."""
    if model.context_length is not None:
        return model.context_length
    flag = model.options.get("max-model-len")
    return flag if isinstance(flag, int) and not isinstance(flag, bool) else None


def is_capped(model: Model) -> bool:
    """Whether the context can be guarded."""
    return model.rewriting.cap_tokens and context_length(model) is not None


def cap_tokens(case: Case, body: JsonBody) -> JsonBody:
    """Refuse a prompt that cannot fit, and lower a limit that is more than what is left beside the prompt.

    A chat without a limit gets one, in both fields that clients use. Raises ContextExceeded, InvalidRequest.
    """
    names = LIMITS[case.api]
    asked = _asked(body, names)
    length = context_length(case.model) or 0
    limit = _limit(case, body, length, asked)
    if case.api == "chat" and items_of(body.fields.get("messages")) is not None:
        kept = limit if asked is None or asked < 1 else min(asked, limit)
        return body.with_fields(dict.fromkeys(names, kept))
    return body if asked is None or asked <= limit else body.with_field(names[0], limit)


def _limit(case: Case, body: JsonBody, length: int, asked: int | None) -> int:
    """The tokens that are left for the answer, or those it asks for if that many are certainly left.

    Raises ContextExceeded.
    """
    if asked is None or asked < 1:
        count = count_prompt(case, body)
    elif (beyond := count_beyond(case, body, length - asked - _margin(case.model, length))) is None:
        return asked
    else:
        count = beyond
    if count.least >= length:
        raise _exceeded(case, count, length)
    return max(1, length - count.total - (0 if count.exact else _margin(case.model, length)))


def is_in_doubt(case: Case, body: JsonBody) -> bool:
    """Whether an estimate cannot tell if the prompt of a body that was rewritten fits beside its margin.

    Never for a body with images, which nobody counts cheaply.
    """
    length = context_length(case.model) or 0
    if not is_capped(case.model) or sum(len(memoryview(value)) for value in body.fields.values()) < length:
        return False  # a token is a byte at the least
    if case.api == "chat" and _asked(body, LIMITS["chat"]) not in (None, 1):
        return False  # `cap_tokens` leaves one token where nothing is left: no need to count once more
    count = count_prompt(case, body)
    return not count.exact and not count.images and count.total + _margin(case.model, length) >= length


def _margin(model: Model, length: int) -> int:
    """Tokens that an estimate may be off."""
    margin = model.rewriting.margin
    return max(LEAST_MARGIN, length // 10) if margin is None else margin


def _asked(body: JsonBody, names: tuple[str, ...]) -> int | None:
    numbers = {name: _number(name, body.fields.get(name)) for name in names}
    return next((number for number in numbers.values() if number is not None), None)


def _number(name: str, value: msgspec.Raw | None) -> int | None:
    """A field's whole number; None where it says nothing. Raises InvalidRequest for anything else."""
    if is_null(value):
        return None
    number: Any = value_of(value)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool):
        raise InvalidRequest(f"`{name}` must be a whole number of tokens.", param=name)
    return number


def _exceeded(case: Case, count: Count, length: int) -> ContextExceeded:
    about = "" if count.exact else "about "
    shares = [(count.said, "what is said"), (count.tools, "tools"), (count.images, "images")]
    said = [f"{number:,} in {what}" for number, what in shares if number]
    sum_ = f" ({', '.join(said)})" if len(said) > 1 else ""
    return ContextExceeded(
        f'The prompt has {about}{count.total:,} tokens{sum_}; "{case.model.id}" takes {length:,}. '
        f"{_roomier(case, count)}",
        param="prompt" if case.api == "completions" else "input" if case.api == "responses" else "messages",
    )


def _roomier(case: Case, count: Count) -> str:
    """The model with the least room that is enough."""
    fitting = [
        (room, peer.id)
        for peer in case.peers
        if peer.enabled
        and (peer.vision or not count.images)
        and (room := context_length(peer) or 0) > count.total
    ]
    if not fitting:
        return "No model here takes that much."
    room, name = min(fitting)
    return f"{name} takes {room:,}."
