"""A summary of a rewrite, for the journal and `sparkctl explain`. Contains no part of a prompt."""

from __future__ import annotations

import msgspec

from sparkd.rewriting.decoding import decode_array, decode_object, decode_string, decode_value
from sparkd.rewriting.rules import RewriteResult, RuleStep

_VISIBLE_FIELDS = frozenset(
    {
        "model",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "tool_choice",
        "parallel_tool_calls",
    }
    | {"thinking", "reasoning", "reasoning_effort", "reasoningEffort", "chat_template_kwargs"}
)
"""Fields that are shown completely: none of them contains messages."""

MAX_VALUE_LENGTH = 120
"""Characters of a value that are shown."""


def summarize(result: RewriteResult) -> str:
    """Every rule that changed something, with the changed fields, on one line."""
    return "; ".join(f"{step.rule.name}: {', '.join(list_changes(step))}" for step in result.steps)


def list_changes(step: RuleStep) -> list[str]:
    """Each field that a rule changed, before and after."""
    return [
        f"{name} {_render_value(name, before)} -> {_render_value(name, step.after[name])}"
        for name, before in step.before.items()
    ]


def _render_value(name: str, value: msgspec.Raw | None) -> str:
    if value is None:
        return "-"
    text = bytes(value).decode("utf-8", "replace")
    if name in _VISIBLE_FIELDS or isinstance(
        decode_value(value) if len(text) < MAX_VALUE_LENGTH else None, int | float
    ):
        return text if len(text) <= MAX_VALUE_LENGTH else text[: MAX_VALUE_LENGTH - 1] + "…"
    items = decode_array(value)
    if items is None:
        return f"({len(text)} characters)"
    roles = [decode_string((decode_object(item) or {}).get("role")) for item in items]
    role_initials = "".join((role or "-")[0] for role in roles) if any(roles) else ""
    count = "1 item" if len(items) == 1 else f"{len(items)} items"
    return f"({count}{f' {role_initials}' if role_initials else ''}, {len(text)} characters)"
