"""Guesses what chat needs: a chat template, parsers for tool calls and reasoning, and rewriting."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from sparkd.catalog.messages import format_value
from sparkd.guessing.facts import Facts, Machine
from sparkd.guessing.families import GENERAL_REASONING, Family, find_family
from sparkd.guessing.guess import AddOptions, GuessedEntry
from sparkd.guessing.template import (
    find_role_error,
    find_thinking_mark,
    find_tool_parser,
    has_thinking_switch,
    takes_tools,
)

SMALL_VOCABULARY: Final = 65536
"""Tokens in a vocabulary; smaller ones were made for a few languages (docs/requests.md: `tokenizer`)."""

_thinker = re.compile(r"thinking|reason|\br1\b|qwq|magistral", re.IGNORECASE)


class Parser(NamedTuple):
    """One of vLLM's parsers, and the reason for it."""

    name: str
    reason: str


def guess_chat(entry: GuessedEntry, facts: Facts, machine: Machine, options: AddOptions) -> None:
    """Guess parsers and rewriting. Warn if there is no chat template."""
    _check_template(entry, facts)
    if options.family is not None:
        entry.notes.append(f'the family "{options.family}" sets parsers and rewriting')
        return
    family = find_family(facts.model_types, facts.name)
    if family is None and not facts.empty:
        types = " and ".join(map(format_value, facts.model_types)) or "without a model_type"
        entry.notes.append(f"unknown family ({types}): these guesses use only its chat template")
    if family is not None and (same := _find_same_family(family.name, machine.families)) is not None:
        entry.notes.append(f"the catalogue has a family for this model: --family {same} uses its settings")
    if (tools := choose_tool_parser(facts, family)) is not None:
        entry.add("options.enable-auto-tool-choice", True, "the model calls tools")
        entry.add("options.tool-call-parser", tools.name, tools.reason)
    if (reasoning := choose_reasoning_parser(facts, family)) is not None:
        entry.add("options.reasoning-parser", reasoning.name, reasoning.reason)
    _guess_rewriting(entry, facts)


def choose_tool_parser(facts: Facts, family: Family | None) -> Parser | None:
    """The parser for tool calls: by the format in its template, unless the family has a parser of its own."""
    by_family = Parser(family.tools, f"family {family.name}") if family and family.tools else None
    if facts.template is None:
        return by_family
    if not takes_tools(facts.template) and not (family and family.dedicated):
        return None
    if family is not None and family.dedicated:
        return by_family
    if (marked := find_tool_parser(facts.template)) is not None:
        return Parser(marked[0], f"{marked[1]} in its chat template")
    return by_family


def choose_reasoning_parser(facts: Facts, family: Family | None) -> Parser | None:
    """The parser for reasoning, if the model reasons: the family's parser, otherwise the general one."""
    named = family.reasoning if family is not None else None
    by_family = Parser(named, f"family {family.name}") if family is not None and named else None
    if family is not None and family.dedicated:
        return by_family
    if facts.template is None:
        return by_family if by_family and _thinker.search(facts.name) else None
    mark = find_thinking_mark(facts.template)
    if mark is None:
        return None
    if by_family is not None:
        return Parser(by_family.name, f"{by_family.reason}, {mark} in its chat template")
    return Parser(GENERAL_REASONING, "<think> in its chat template") if mark == "<think>" else None


def _find_same_family(name: str, families: Iterable[str]) -> str | None:
    """The family of the catalogue with the same name in any spelling: "Gemma 4" is "gemma4"."""
    separators = re.compile(r"[^a-z0-9]")
    wanted = separators.sub("", name.lower())
    return next((family for family in families if separators.sub("", family.lower()) == wanted), None)


def _check_template(entry: GuessedEntry, facts: Facts) -> None:
    if facts.template is not None or facts.empty:
        return
    if "tekken.json" in facts.files:
        entry.notes.append("no chat template, but tekken.json: vLLM uses Mistral's own tokenizer")
        return
    entry.warnings.append(
        "the model has no chat template, so /v1/chat/completions will reject requests. If it is a base model, use a "
        "repository whose name ends in -Instruct or -it. Otherwise name a template in options.chat-template"
    )


def _guess_rewriting(entry: GuessedEntry, facts: Facts) -> None:
    template = facts.template or ""
    if (error := find_role_error(template)) is not None:
        entry.add("rewriting.alternate_roles", True, f'"{error}" in its chat template')
    if has_thinking_switch(template):
        entry.add("rewriting.thinking_switch", True, "its chat template can switch thinking off")
    pieces = facts.text_config.count("vocab_size")
    if pieces is not None and pieces < SMALL_VOCABULARY:
        entry.add("rewriting.tokenizer", "small", f"vocab_size is {pieces}")
