"""Budgets for thinking: in the field that the engine reads, in its range, and only if the engine can keep them.

vLLM keeps a budget only for a model with a reasoning parser and rejects it otherwise. In /v1/messages it needs at
least 1,024 tokens and less than `max_tokens`.
"""

from __future__ import annotations

from typing import Any

from sparkd.catalog.definitions import Model
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_object, decode_value
from sparkd.rewriting.parameters.engine_facts import find_engine_option, runs_vllm
from sparkd.rewriting.rewrite_context import RewriteContext

MIN_BUDGET = 1024
"""Tokens of the smallest budget in /v1/messages."""

_FIELD, _QWEN_FIELD = "thinking_token_budget", "thinking_budget"
BUDGET_FIELDS = frozenset({_FIELD, _QWEN_FIELD, "reasoning", "thinking"})
"""Every field that may have a budget."""

_SWITCHES = ("reasoning-parser", "reasoning-config")
_THINKING_TYPES = ("enabled", "adaptive", "disabled")


def fit_thinking_budget(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Move a budget to where the engine reads it, bring it into range, or leave it out."""
    if context.api == "messages":
        return _fit_thinking(context, body)
    fields = body.fields
    if _FIELD not in fields and _QWEN_FIELD not in fields and "reasoning" not in fields:
        return body
    given = [decode_value(fields.get(name)) for name in (_FIELD, _QWEN_FIELD)]
    if context.api == "chat":  # as OpenRouter has it
        given.append(decode_value((decode_object(fields.get("reasoning")) or {}).get("max_tokens")))
    budget = next((number for number in given if _is_whole(number) and number >= 0), None)
    body = body.without((_QWEN_FIELD,))
    if budget is None or not keeps_budgets(context.model):
        return body.without((_FIELD,))
    return body if given[0] == budget else body.with_field(_FIELD, budget)


def keeps_budgets(model: Model) -> bool:
    """Whether the engine can end thinking after a number of tokens. Engines that sparkd does not know may."""
    if model.rewriting.efforts:
        return False  # such a model ends its thinking by its effort
    return not runs_vllm(model) or any(find_engine_option(model, name) is not None for name in _SWITCHES)


def _fit_thinking(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Anthropic's `thinking`. Without a budget it is "adaptive", which leaves it to the model."""
    if "thinking" not in body.fields:
        return body
    thinking: Any = decode_value(body.fields["thinking"])
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind not in _THINKING_TYPES:
        return body.without(("thinking",))
    if kind != "enabled":
        return body
    budget, most = thinking.get("budget_tokens"), decode_value(body.fields.get("max_tokens"))
    if _is_whole(budget) and budget < 1:
        return body.with_field("thinking", {"type": "disabled"})
    fitted = max(MIN_BUDGET, budget) if _is_whole(budget) else None
    if fitted is not None and _is_whole(most):
        fitted = min(fitted, most - 1)
    if fitted is None or fitted < MIN_BUDGET or not keeps_budgets(context.model):
        return body.with_field("thinking", {"type": "adaptive"})
    return body if fitted == budget else body.with_field("thinking", {**thinking, "budget_tokens": fitted})


def _is_whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)
