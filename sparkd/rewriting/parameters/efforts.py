"""Reasoning efforts on the model's own scale: the nearest effort that it knows, in the field of the request's API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import msgspec

from sparkd.catalog.definitions import Model
from sparkd.catalog.rewriting import Effort
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_object, decode_string, decode_value
from sparkd.rewriting.parameters.engine_facts import runs_vllm
from sparkd.rewriting.rewrite_context import Api, RewriteContext

EFFORTS: tuple[Effort, ...] = get_args(Effort)
"""From the least to the most."""

_PLACES: Mapping[Api, tuple[str, str | None]] = {
    "chat": ("reasoning_effort", None),
    "responses": ("reasoning", "effort"),
    "messages": ("output_config", "effort"),
}
"""The field of each API, and the key inside it."""

_OTHER_FIELDS = ("reasoning_effort", "reasoningEffort")
"""Fields in which clients send an effort to any API."""

EFFORT_PLACES = frozenset({*_OTHER_FIELDS, *(place for place, _ in _PLACES.values()), "thinking"})
"""Every field that may have an effort, or stand for one."""

_SYNONYMS: Mapping[str, Effort] = {"off": "none", "disabled": "none", "x-high": "xhigh", "maximum": "max"}
_ACCEPTED: Mapping[Api, Sequence[Effort]] = {"chat": EFFORTS, "responses": EFFORTS, "messages": EFFORTS[2:]}
"""What vLLM's types accept, for a model without a scale of its own."""

_BUDGETS: Sequence[tuple[int, Effort]] = ((4096, "low"), (16384, "medium"))
"""Up to how many tokens of thinking an effort stands for; more is "high"."""


def passes_efforts(model: Model) -> bool:
    """Whether efforts reach an engine that is known. With `thinking_switch` they become the template's switch."""
    return not model.rewriting.thinking_switch and bool(model.rewriting.efforts or runs_vllm(model))


def fit_effort(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Replace an effort by the nearest on the model's scale. One that has no meaning is left out."""
    api, scale = context.api, context.model.rewriting.efforts
    place, key = _PLACES[api]
    others = [name for name in _OTHER_FIELDS if name != place and name in body.fields]
    own = body.fields.get(place)
    thinking = body.fields.get("thinking") if api == "messages" and scale else None
    if own is None and not others and thinking is None and (api != "chat" or "reasoning" not in body.fields):
        return body
    given = own if key is None or own is None else (decode_object(own) or {}).get(key)
    effort = _read_effort(given) or _read_other_effort(api, body, others)
    body = body.without(others)
    if thinking is not None:
        by_thinking = _read_thinking(thinking, effort)
        if by_thinking != "none" or "none" not in scale:  # vLLM itself turns "disabled" into "none"
            effort, body = by_thinking, body.without(("thinking",))
    accepted = [known for known in scale if known in _ACCEPTED[api]] or _ACCEPTED[api]
    return _set_effort(body, place, key, None if effort is None else find_nearest(effort, accepted))


def find_nearest(effort: Effort, scale: Sequence[Effort]) -> Effort:
    """The nearest effort on a scale; of two, the higher one."""
    rank = EFFORTS.index(effort)
    return min(scale, key=lambda known: (abs(EFFORTS.index(known) - rank), -EFFORTS.index(known)))


def _read_effort(value: msgspec.Raw | None) -> Effort | None:
    """An effort in any spelling; None if it is unknown."""
    word = (decode_string(value) or "").strip().lower()
    return _SYNONYMS.get(word) or next((known for known in EFFORTS if known == word), None)


def _read_other_effort(api: Api, body: JsonBody, names: Sequence[str]) -> Effort | None:
    values = [body.fields[name] for name in names]
    reasoning = decode_object(body.fields.get("reasoning")) if api == "chat" else None
    if reasoning is not None and "effort" in reasoning:
        values.append(reasoning["effort"])
    return next((effort for value in values if (effort := _read_effort(value)) is not None), None)


def _read_thinking(thinking: msgspec.Raw, effort: Effort | None) -> Effort | None:
    """The effort that Anthropic's `thinking` stands for, beside one that is given."""
    fields: Any = decode_value(thinking)
    if not isinstance(fields, dict):
        return effort
    if fields.get("type") == "disabled":
        return "none"
    budget = fields.get("budget_tokens")
    if effort is not None or isinstance(budget, bool) or not isinstance(budget, int):
        return effort
    return "none" if budget < 1 else next((name for most, name in _BUDGETS if budget <= most), "high")


def _set_effort(body: JsonBody, place: str, key: str | None, effort: Effort | None) -> JsonBody:
    if key is None:
        return body.without((place,)) if effort is None else body.with_field(place, effort)
    fields = decode_object(body.fields.get(place)) or {}
    if effort is not None:
        return (
            body
            if decode_string(fields.get(key)) == effort
            else body.with_field(place, {**fields, key: effort})
        )
    if key not in fields:
        return body
    rest = {name: value for name, value in fields.items() if name != key}
    return body.with_field(place, rest) if rest else body.without((place,))
