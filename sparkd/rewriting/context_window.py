"""The model's context: rejects prompts that cannot fit, and limits the response to the remaining tokens."""

from __future__ import annotations

from typing import Any

import msgspec

from sparkd.catalog.definitions import Model
from sparkd.errors import ContextExceeded, InvalidRequest
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_value, is_null
from sparkd.rewriting.history.conversation import read_conversation
from sparkd.rewriting.rewrite_context import Api, RewriteContext
from sparkd.rewriting.token_count import PromptTokens, count_if_over, count_prompt_tokens

LIMIT_FIELDS: dict[Api, tuple[str, ...]] = {
    "chat": ("max_completion_tokens", "max_tokens"),
    "completions": ("max_tokens",),
    "responses": ("max_output_tokens",),
    "messages": ("max_tokens",),
}
"""The fields that limit the tokens of a response; the first one that is set counts."""

MIN_MARGIN = 512


def context_length(model: Model) -> int | None:
    """Tokens of prompt and response together: from the catalogue, or else from the engine's flag."""
    if model.context_length is not None:
        return model.context_length
    flag = model.options.get("max-model-len")
    return flag if isinstance(flag, int) and not isinstance(flag, bool) else None


def is_capped(model: Model) -> bool:
    """Whether the context limit applies."""
    return model.rewriting.cap_tokens and context_length(model) is not None


def cap_tokens(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Reject a prompt that cannot fit, and lower a limit that is larger than the rest of the context.

    A chat without a limit gets one, in both fields that clients use. Raises ContextExceeded, InvalidRequest.
    """
    names = LIMIT_FIELDS[context.api]
    requested = _read_limit(body, names)
    length = context_length(context.model) or 0
    limit = _compute_limit(context, body, length, requested)
    if context.api == "chat" and read_conversation(context, body) is not None:
        new_limit = limit if requested is None or requested < 1 else min(requested, limit)
        return body.with_fields(dict.fromkeys(names, new_limit))
    return body if requested is None or requested <= limit else body.with_field(names[0], limit)


def _compute_limit(context: RewriteContext, body: JsonBody, length: int, requested: int | None) -> int:
    """The tokens that are left for the answer, or those it asks for if that many are certainly left.

    Raises ContextExceeded.
    """
    if requested is None or requested < 1:
        count = count_prompt_tokens(context, body)
    elif (
        over_limit := count_if_over(context, body, length - requested - _margin(context.model, length))
    ) is None:
        return requested
    else:
        count = over_limit
    if count.least >= length:
        raise _build_error(context, count, length)
    return max(1, length - count.total - (0 if count.exact else _margin(context.model, length)))


def needs_exact_count(context: RewriteContext, body: JsonBody) -> bool:
    """Whether the estimate cannot decide if a rewritten body's prompt and margin fit, so that counting is needed.

    False for a body with images, which are expensive to count.
    """
    length = context_length(context.model) or 0
    if not is_capped(context.model) or sum(len(memoryview(value)) for value in body.fields.values()) < length:
        return False  # a token has at least one byte
    if context.api == "chat" and _read_limit(body, LIMIT_FIELDS["chat"]) not in (None, 1):
        return False  # `cap_tokens` has set the minimum: no need to count again
    count = count_prompt_tokens(context, body)
    return not count.exact and not count.images and count.total + _margin(context.model, length) >= length


def _margin(model: Model, length: int) -> int:
    """Tokens that an estimate may be off."""
    margin = model.rewriting.margin
    return max(MIN_MARGIN, length // 10) if margin is None else margin


def _read_limit(body: JsonBody, names: tuple[str, ...]) -> int | None:
    numbers = {name: _read_whole_number(name, body.fields.get(name)) for name in names}
    return next((number for number in numbers.values() if number is not None), None)


def _read_whole_number(name: str, value: msgspec.Raw | None) -> int | None:
    """A field's whole number; None if it is missing. Raises InvalidRequest for anything else."""
    if is_null(value):
        return None
    number: Any = decode_value(value)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool):
        raise InvalidRequest(f"`{name}` must be a whole number of tokens.", param=name)
    return number


def _build_error(context: RewriteContext, count: PromptTokens, length: int) -> ContextExceeded:
    about = "" if count.exact else "about "
    counts = [(count.text, "messages"), (count.tools, "tools"), (count.images, "images")]
    parts = [f"{number:,} in {part}" for number, part in counts if number]
    breakdown = f" ({', '.join(parts)})" if len(parts) > 1 else ""
    return ContextExceeded(
        f'The prompt has {about}{count.total:,} tokens{breakdown}, but "{context.model.id}" takes {length:,}. '
        f"{_suggest_model(context, count)}",
        param="prompt"
        if context.api == "completions"
        else "input"
        if context.api == "responses"
        else "messages",
    )


def _suggest_model(context: RewriteContext, count: PromptTokens) -> str:
    """The model with the smallest context that is large enough."""
    candidates = [
        (length, peer.id)
        for peer in context.alternatives
        if peer.enabled
        and (peer.vision or not count.images)
        and (length := context_length(peer) or 0) > count.total
    ]
    if not candidates:
        return "No model here takes that many."
    length, name = min(candidates)
    return f'"{name}" takes {length:,}.'
