"""What rewriting did, in words: for the journal and for `sparkctl explain`. Never a word of a prompt."""

from __future__ import annotations

import msgspec

from sparkd.rewriting.decoding import fields_of, items_of, text_of, value_of
from sparkd.rewriting.rules import Rewritten, Step

_SHOWN = frozenset(
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
"""Fields that are shown whole: none of them holds what somebody said."""

LONGEST = 120
"""Characters of a value that are shown."""


def told(rewritten: Rewritten) -> str:
    """Every rule that changed something and the fields it touched, on one line."""
    return "; ".join(f"{step.rule.name}: {', '.join(touched(step))}" for step in rewritten.steps)


def touched(step: Step) -> list[str]:
    """Each field that a rule touched, before and after."""
    return [
        f"{name} {_shown(name, before)} -> {_shown(name, step.after[name])}"
        for name, before in step.before.items()
    ]


def _shown(name: str, value: msgspec.Raw | None) -> str:
    if value is None:
        return "-"
    text = bytes(value).decode("utf-8", "replace")
    if name in _SHOWN or isinstance(value_of(value) if len(text) < LONGEST else None, int | float):
        return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    items = items_of(value)
    if items is None:
        return f"({len(text)} characters)"
    roles = [text_of((fields_of(item) or {}).get("role")) for item in items]
    spoken = "".join((role or "-")[0] for role in roles) if any(roles) else ""
    count = "1 item" if len(items) == 1 else f"{len(items)} items"
    return f"({count}{f' {spoken}' if spoken else ''}, {len(text)} characters)"
