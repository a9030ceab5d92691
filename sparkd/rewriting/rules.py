"""The ordered table of rules: small pure functions, switched by the catalogue, never by a model's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from sparkd.catalog.definitions import Model
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.case import CONVERSATIONS, EVERY, GENERATING, Api, Case
from sparkd.rewriting.fields import default_fields, name_model, preset_fields, set_fields, strip_fields
from sparkd.rewriting.hints import tool_hints
from sparkd.rewriting.images import drop_images, refuse_images
from sparkd.rewriting.roles import alternate_roles
from sparkd.rewriting.text import join_text, joins_text
from sparkd.rewriting.thinking import quiet, reasoning_effort, thinking_flag
from sparkd.rewriting.tools import require_tool, strip_tools
from sparkd.rewriting.window import cap_tokens, is_capped

CHAT: frozenset[Api] = frozenset({"chat"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table. `key` is what switches it in the catalogue, `on` reads that, `apis` are its own."""

    name: str
    key: str
    on: Callable[[Model], object]
    apis: frozenset[Api]
    apply: Callable[[Case, JsonBody], JsonBody]


NAME = Rule("name", "always", lambda _: True, EVERY, name_model)

RULES: tuple[Rule, ...] = (
    NAME,
    Rule("strip", "strip", lambda model: model.rewriting.strip, GENERATING, strip_fields),
    Rule("default", "default", lambda model: model.rewriting.default, GENERATING, default_fields),
    Rule("set", "set", lambda model: model.rewriting.set, GENERATING, set_fields),
    Rule("preset", "presets", lambda model: model.rewriting.presets, GENERATING, preset_fields),
    Rule(
        "drop-images",
        "drop_images",
        lambda model: model.rewriting.drop_images and not model.vision,
        CONVERSATIONS,
        drop_images,
    ),
    Rule("refuse-images", "vision", lambda model: not model.vision, CONVERSATIONS, refuse_images),
    Rule(
        "join-text",
        "join_text",
        joins_text,
        CHAT,
        join_text,
    ),
    Rule("tool-hints", "tool_hints", lambda model: model.rewriting.tool_hints, CHAT, tool_hints),
    Rule(
        "alternate-roles",
        "alternate_roles",
        lambda model: model.rewriting.alternate_roles,
        CHAT,
        alternate_roles,
    ),
    Rule("cap-tokens", "cap_tokens", is_capped, GENERATING, cap_tokens),
    Rule(
        "strip-tools",
        "tools",
        lambda model: model.rewriting.tools == "strip",
        CONVERSATIONS,
        strip_tools,
    ),
    Rule(
        "require-tool",
        "tools",
        lambda model: model.rewriting.tools == "require",
        CONVERSATIONS,
        require_tool,
    ),
    Rule(
        "thinking-flag",
        "thinking_switch",
        lambda model: model.rewriting.thinking_switch,
        CONVERSATIONS,
        thinking_flag,
    ),
    Rule(
        "reasoning-effort",
        "thinking_switch",
        lambda model: model.rewriting.thinking_switch,
        CONVERSATIONS,
        reasoning_effort,
    ),
    Rule("quiet", "quiet", lambda model: model.rewriting.quiet, CONVERSATIONS, quiet),
)
"""Every rule, in the order of its turn."""


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one rule. `before` and `after` hold the fields it touched; None: not there."""

    rule: Rule
    applies: bool
    before: dict[str, msgspec.Raw | None]
    after: dict[str, msgspec.Raw | None]

    @property
    def changed(self) -> bool:
        """Whether the rule touched anything."""
        return bool(self.before)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A body as its engine is to get it, and the steps that changed it."""

    body: JsonBody
    steps: tuple[Step, ...]

    @property
    def mended(self) -> tuple[str, ...]:
        """Names of the rules that changed something; calling the model by its id is no mending."""
        return tuple(step.rule.name for step in self.steps if step.rule is not NAME)


class Rulebook:
    """The rules that can apply to each model of one catalogue, worked out when it is first asked for."""

    def __init__(self) -> None:
        self._pages: dict[tuple[str, Api], tuple[Rule, ...]] = {}

    def rewrite(self, case: Case, body: JsonBody) -> Rewritten:
        """Mend a body. Raises RequestError for one that the model cannot be asked."""
        rules = self._pages.get((case.model.id, case.api))
        if rules is None:
            rules = tuple(rule for rule in RULES if _applies(rule, case))
            self._pages[case.model.id, case.api] = rules
        steps = []
        for rule in rules:
            then = rule.apply(case, body)
            if then is not body:
                before, after = _differences(body, then)
                if before:
                    steps.append(Step(rule, applies=True, before=before, after=after))
                body = then
        return Rewritten(body, tuple(steps))


def rewrite(case: Case, body: JsonBody) -> Rewritten:
    """Mend one body. Raises RequestError for one that the model cannot be asked."""
    return Rulebook().rewrite(case, body)


def walk(case: Case, body: JsonBody) -> Iterator[tuple[Step, JsonBody]]:
    """Every rule in turn, with the body after it. Raises RequestError."""
    for rule in RULES:
        applies = _applies(rule, case)
        then = rule.apply(case, body) if applies else body
        before, after = _differences(body, then)
        yield Step(rule, applies, before, after), then
        body = then


def _applies(rule: Rule, case: Case) -> bool:
    return case.api in rule.apis and bool(rule.on(case.model))


def _differences(
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
