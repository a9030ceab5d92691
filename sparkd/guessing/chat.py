"""What a model needs to be talked to: a chat template, parsers for its calls and its thinking, its kind of requests."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from sparkd.catalog.wording import shown
from sparkd.guessing.facts import Facts, Machine
from sparkd.guessing.families import GENERAL_REASONING, Family, family_of
from sparkd.guessing.guess import Guessed, Wishes
from sparkd.guessing.template import has_switch, takes_tools, thinks, tool_parser, wants_turns

SMALL_VOCABULARY: Final = 65536
"""Pieces; vocabularies below were made for a few languages (docs/requests.md: `tokenizer`)."""

_thinker = re.compile(r"thinking|reason|\br1\b|qwq|magistral", re.IGNORECASE)


class Parser(NamedTuple):
    """One of vLLM's parsers, and why it."""

    name: str
    reason: str


def guess_chat(guessed: Guessed, facts: Facts, machine: Machine, wishes: Wishes) -> None:
    """Guess parsers and rewriting; warn where there is nothing to turn messages into a prompt with."""
    _template(guessed, facts)
    if wishes.family is not None:
        guessed.notes.append(f'the family "{wishes.family}" sets parsers and rewriting')
        return
    family = family_of(facts.model_types, facts.name)
    if family is None and not facts.empty:
        types = " and ".join(map(shown, facts.model_types)) or "without a model_type"
        guessed.notes.append(f"unknown family ({types}): these guesses use only its chat template")
    if family is not None and (there := _same(family.name, machine.families)) is not None:
        guessed.notes.append(f"the catalogue has a family for this model: --family {there} uses its settings")
    if (tools := tools_of(facts, family)) is not None:
        guessed.add("options.enable-auto-tool-choice", True, "the model calls tools")
        guessed.add("options.tool-call-parser", tools.name, tools.reason)
    if (reasoning := reasoning_of(facts, family)) is not None:
        guessed.add("options.reasoning-parser", reasoning.name, reasoning.reason)
    _rewriting(guessed, facts)


def tools_of(facts: Facts, family: Family | None) -> Parser | None:
    """The parser for its calls: by what its template writes, unless the family's parser is made for it alone."""
    by_family = Parser(family.tools, f"family {family.name}") if family and family.tools else None
    if facts.template is None:
        return by_family
    if not takes_tools(facts.template) and not (family and family.own):
        return None
    if family is not None and family.own:
        return by_family
    if (marked := tool_parser(facts.template)) is not None:
        return Parser(marked[0], f"{marked[1]} in its chat template")
    return by_family


def reasoning_of(facts: Facts, family: Family | None) -> Parser | None:
    """The parser for its thinking: the family's if it thinks at all, else the general one."""
    named = family.reasoning if family is not None else None
    by_family = Parser(named, f"family {family.name}") if family is not None and named else None
    if family is not None and family.own:
        return by_family
    if facts.template is None:
        return by_family if by_family and _thinker.search(facts.name) else None
    mark = thinks(facts.template)
    if mark is None:
        return None
    if by_family is not None:
        return Parser(by_family.name, f"{by_family.reason}, {mark} in its chat template")
    return Parser(GENERAL_REASONING, "<think> in its chat template") if mark == "<think>" else None


def _same(name: str, families: Iterable[str]) -> str | None:
    """The family of the catalogue that is called the same, however it is written: "Gemma 4" is "gemma4"."""
    bare = re.compile(r"[^a-z0-9]")
    wanted = bare.sub("", name.lower())
    return next((family for family in families if bare.sub("", family.lower()) == wanted), None)


def _template(guessed: Guessed, facts: Facts) -> None:
    if facts.template is not None or facts.empty:
        return
    if "tekken.json" in facts.files:
        guessed.notes.append("no chat template, but tekken.json: vLLM uses Mistral's own tokenizer")
        return
    guessed.warnings.append(
        "the model has no chat template, so /v1/chat/completions will reject requests. If it is a base model, use a "
        "repository whose name ends in -Instruct or -it. Otherwise name a template in options.chat-template"
    )


def _rewriting(guessed: Guessed, facts: Facts) -> None:
    template = facts.template or ""
    if (words := wants_turns(template)) is not None:
        guessed.add("rewriting.alternate_roles", True, f'"{words}" in its chat template')
    if has_switch(template):
        guessed.add("rewriting.thinking_switch", True, "its chat template can switch thinking off")
    pieces = facts.text_config.count("vocab_size")
    if pieces is not None and pieces < SMALL_VOCABULARY:
        guessed.add("rewriting.tokenizer", "small", f"vocab_size is {pieces}")
