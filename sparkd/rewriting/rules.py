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
    on: Callable[[Case], object]
    apis: frozenset[Api]
    apply: Callable[[Case, JsonBody], JsonBody]


def _of(read: Callable[[Model], object]) -> Callable[[Case], object]:
    return lambda case: read(case.model)


NAME = Rule("name", "always", lambda _: True, EVERY, name_model)

RULES: tuple[Rule, ...] = (
    NAME,
    Rule("strip", "strip", _of(lambda model: model.rewriting.strip), GENERATING, strip_fields),
    Rule("default", "default", _of(lambda model: model.rewriting.default), GENERATING, default_fields),
    Rule("set", "set", _of(lambda model: model.rewriting.set), GENERATING, set_fields),
    Rule("preset", "presets", lambda case: case.preset, GENERATING, preset_fields),
    Rule(
        "drop-images",
        "drop_images",
        _of(lambda model: model.rewriting.drop_images and not model.vision),
        CONVERSATIONS,
        drop_images,
    ),
    Rule("refuse-images", "vision", _of(lambda model: not model.vision), CONVERSATIONS, refuse_images),
    Rule(
        "join-text",
        "join_text",
        _of(joins_text),
        CHAT,
        join_text,
    ),
    Rule("tool-hints", "tool_hints", _of(lambda model: model.rewriting.tool_hints), CHAT, tool_hints),
    Rule(
        "alternate-roles",
        "alternate_roles",
        _of(lambda model: model.rewriting.alternate_roles),
        CHAT,
        alternate_roles,
    ),
    Rule("cap-tokens", "cap_tokens", _of(is_capped), GENERATING, cap_tokens),
    Rule(
        "strip-tools",
        "tools",
        _of(lambda model: model.rewriting.tools == "strip"),
        CONVERSATIONS,
        strip_tools,
    ),
    Rule(
        "require-tool",
        "tools",
        _of(lambda model: model.rewriting.tools == "require"),
        CONVERSATIONS,
        require_tool,
    ),
    Rule(
        "thinking-flag",
        "thinking_switch",
        _of(lambda model: model.rewriting.thinking_switch),
        CONVERSATIONS,
        thinking_flag,
    ),
    Rule(
        "reasoning-effort",
        "thinking_switch",
        _of(lambda model: model.rewriting.thinking_switch),
        CONVERSATIONS,
        reasoning_effort,
    ),
    Rule("quiet", "quiet", _of(lambda model: model.rewriting.quiet), CONVERSATIONS, quiet),
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


def rewrite(case: Case, body: JsonBody) -> Rewritten:
    """Mend a body. Raises RequestError for one that the model cannot be asked."""
    steps = []
    for step, then in walk(case, body):
        body = then
        if step.changed:
            steps.append(step)
    return Rewritten(body, tuple(steps))


def walk(case: Case, body: JsonBody) -> Iterator[tuple[Step, JsonBody]]:
    """Every rule in turn, with the body after it. Raises RequestError."""
    for rule in RULES:
        applies = case.api in rule.apis and bool(rule.on(case))
        then = rule.apply(case, body) if applies else body
        before, after = _differences(body, then)
        yield Step(rule, applies, before, after), then
        body = then


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
