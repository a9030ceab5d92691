"""The ordered table of rules: small pure functions, switched by the catalogue and never by a model's name."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from sparkd.catalog.templates import Template
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.context_window import cap_tokens, is_capped
from sparkd.rewriting.fields import apply_preset, fill_defaults, set_fields, set_model_id, strip_fields
from sparkd.rewriting.history.rules import FOLD_RULE, ORDER_RULES, SHAPE_RULES
from sparkd.rewriting.history.strictness import alternates_roles
from sparkd.rewriting.images import IMAGE_TYPES, drop_images, reject_images
from sparkd.rewriting.parameters.rules import EFFORT_RULES, MEDIA_RULES, TOOL_RULES, VALUE_RULES
from sparkd.rewriting.recordings import RECORDING_TYPES, reject_recordings, takes_recordings
from sparkd.rewriting.rewrite_context import ALL_APIS, CONVERSATION_APIS, GENERATING_APIS, Api, RewriteContext
from sparkd.rewriting.roles import alternate_roles
from sparkd.rewriting.rule import Rule
from sparkd.rewriting.selection import RuleSelection
from sparkd.rewriting.text import join_text, needs_joined_text
from sparkd.rewriting.thinking import (
    EFFORT_FIELDS,
    EFFORT_OBJECTS,
    apply_reasoning_effort,
    apply_thinking_flag,
    disable_thinking,
)
from sparkd.rewriting.tool_hints import add_tool_hints
from sparkd.rewriting.tools import TOOL_FIELDS, require_tool, strip_tools

CHAT_API: frozenset[Api] = frozenset({"chat"})


MODEL_ID_RULE = Rule("model-id", "always", lambda _: True, ALL_APIS, set_model_id)

SURROGATES_RULE = Rule("lone-surrogates", "always", lambda _: True, ALL_APIS, lambda _, body: body)
"""Applied while a body is parsed: what it changes could not be parsed."""

RULES: tuple[Rule, ...] = (
    SURROGATES_RULE,
    MODEL_ID_RULE,
    Rule("strip", "strip", lambda context: context.model.rewriting.strip, GENERATING_APIS, strip_fields),
    *VALUE_RULES,
    Rule(
        "default", "default", lambda context: context.model.rewriting.default, GENERATING_APIS, fill_defaults
    ),
    Rule("set", "set", lambda context: context.model.rewriting.set, GENERATING_APIS, set_fields),
    Rule("preset", "presets", lambda context: context.model.rewriting.presets, GENERATING_APIS, apply_preset),
    *SHAPE_RULES,
    Rule(
        "drop-images",
        "drop_images",
        lambda context: context.model.rewriting.drop_images and not context.model.vision,
        CONVERSATION_APIS,
        drop_images,
        turns=IMAGE_TYPES,
    ),
    Rule(
        "reject-images",
        "vision",
        lambda context: not context.model.vision,
        CONVERSATION_APIS,
        reject_images,
        turns=IMAGE_TYPES,
    ),
    Rule(
        "reject-recordings",
        "vision",
        lambda context: not takes_recordings(context),
        CONVERSATION_APIS,
        reject_recordings,
        turns=frozenset(RECORDING_TYPES),
    ),
    *MEDIA_RULES,
    *TOOL_RULES,
    Rule(
        "join-text",
        "join_text",
        lambda context: needs_joined_text(context.model),
        CHAT_API,
        join_text,
    ),
    Rule(
        "tool-hints",
        "tool_hints",
        lambda context: context.model.rewriting.tool_hints,
        CHAT_API,
        add_tool_hints,
    ),
    FOLD_RULE,
    Rule("alternate-roles", "alternate_roles", alternates_roles, CHAT_API, alternate_roles),
    *ORDER_RULES,
    Rule("cap-tokens", "cap_tokens", lambda context: is_capped(context.model), GENERATING_APIS, cap_tokens),
    *EFFORT_RULES,
    Rule(
        "strip-tools",
        "tools",
        lambda context: context.model.rewriting.tools == "strip",
        CONVERSATION_APIS,
        strip_tools,
        frozenset(TOOL_FIELDS),
    ),
    Rule(
        "require-tool",
        "tools",
        lambda context: context.model.rewriting.tools == "require",
        CONVERSATION_APIS,
        require_tool,
        frozenset({"tools"}),
    ),
    Rule(
        "thinking-flag",
        "thinking_switch",
        lambda context: context.model.rewriting.thinking_switch,
        CONVERSATION_APIS,
        apply_thinking_flag,
        frozenset({"thinking"}),
    ),
    Rule(
        "reasoning-effort",
        "thinking_switch",
        lambda context: context.model.rewriting.thinking_switch,
        CONVERSATION_APIS,
        apply_reasoning_effort,
        frozenset({*EFFORT_FIELDS, *EFFORT_OBJECTS}),
    ),
    Rule(
        "disable-thinking",
        "disable_thinking",
        lambda context: context.model.rewriting.disable_thinking,
        CONVERSATION_APIS,
        disable_thinking,
    ),
)
"""All rules, in the order in which they are applied."""


class RuleStep(Struct, frozen=True):
    """The result of one rule. `before` and `after` have the fields that it changed; None: missing.

    `in_bytes`: the rule changed the body before it was parsed, so that there are no fields to compare.
    """

    rule: Rule
    applies: bool
    before: dict[str, msgspec.Raw | None]
    after: dict[str, msgspec.Raw | None]
    in_bytes: bool = False

    @property
    def changed(self) -> bool:
        """Whether the rule changed anything."""
        return bool(self.before) or self.in_bytes


class RewriteResult(Struct, frozen=True):
    """A rewritten body, and the steps that changed it."""

    body: JsonBody
    steps: tuple[RuleStep, ...]

    @property
    def rewrites(self) -> tuple[str, ...]:
        """Names of the rules that changed something, except the one for the model's id."""
        return tuple(step.rule.name for step in self.steps if step.rule is not MODEL_ID_RULE)


class RequestRewriter:
    """The rules that can apply to each model of one catalogue, computed at the first request for each template."""

    def __init__(self) -> None:
        self._selections: dict[tuple[str, Api, Template], RuleSelection] = {}

    def rewrite(self, context: RewriteContext, body: JsonBody) -> RewriteResult:
        """Rewrite a body. Raises RequestError if the model cannot serve it."""
        key = (context.model.id, context.api, context.template)
        selection = self._selections.get(key)
        if selection is None:
            applied = (rule for rule in RULES if rule is not SURROGATES_RULE and _applies(rule, context))
            selection = self._selections[key] = RuleSelection(context.api, applied)
        steps = [RuleStep(SURROGATES_RULE, True, {}, {}, in_bytes=True)] if body.is_repaired else []
        pending = deque(selection.select(body))
        while pending:
            place, rule = pending.popleft()
            rewritten = rule.apply(context, body)
            if rewritten is not body:
                before, after = _diff_fields(body, rewritten)
                if before:
                    steps.append(RuleStep(rule, applies=True, before=before, after=after))
                body = rewritten
                pending = deque(selection.select(body, place + 1))
        return RewriteResult(body, tuple(steps))


def rewrite(context: RewriteContext, body: JsonBody) -> RewriteResult:
    """Rewrite one body. Raises RequestError if the model cannot serve it."""
    return RequestRewriter().rewrite(context, body)


def trace_rules(context: RewriteContext, body: JsonBody) -> Iterator[tuple[RuleStep, JsonBody]]:
    """Apply every rule in order, and yield its step and the body after it. Raises RequestError."""
    for rule in RULES:
        applies = _applies(rule, context)
        rewritten = rule.apply(context, body) if applies else body
        before, after = _diff_fields(body, rewritten)
        in_bytes = rule is SURROGATES_RULE and body.is_repaired
        yield RuleStep(rule, applies, before, after, in_bytes), rewritten
        body = rewritten


def _applies(rule: Rule, context: RewriteContext) -> bool:
    return context.api in rule.apis and bool(rule.is_enabled(context))


def _diff_fields(
    old: JsonBody, new: JsonBody
) -> tuple[dict[str, msgspec.Raw | None], dict[str, msgspec.Raw | None]]:
    if old is new:
        return {}, {}
    names = [
        name
        for name in {**old.fields, **new.fields}
        if old.fields.get(name) is not new.fields.get(name) and old.fields.get(name) != new.fields.get(name)
    ]
    return {name: old.fields.get(name) for name in names}, {name: new.fields.get(name) for name in names}
