"""Which rules a body needs. Most bodies need few, and finding these costs less than applying the others."""

from __future__ import annotations

from collections.abc import Iterable

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.history.conversation import find_traits
from sparkd.rewriting.rewrite_context import Api
from sparkd.rewriting.rule import Rule

MAX_REMEMBERED = 1024
"""Selections that are kept for one API of one model: clients decide how many different ones there are."""

Selected = tuple[tuple[int, Rule], ...]
"""Rules and their places in the order of all."""


class RuleSelection:
    """The rules for one API of one model, by what bodies have of what the rules look at."""

    def __init__(self, api: Api, rules: Iterable[Rule]) -> None:
        self._api: Api = api
        self._rules = tuple(enumerate(rules))
        self._fields = frozenset(name for _, rule in self._rules for name in rule.fields)
        self._turns = frozenset(trait for _, rule in self._rules for trait in rule.turns)
        self._selected: dict[tuple[int, frozenset[str], frozenset[str]], Selected] = {}

    def select(self, body: JsonBody, begin: int = 0) -> Selected:
        """The rules from place `begin` on that may change this body."""
        fields = self._fields.intersection(body.fields)
        traits = find_traits(self._api, body) if self._turns else frozenset[str]()
        turns = self._turns if traits is None else self._turns & traits
        key = begin, fields, turns
        selected = self._selected.get(key)
        if selected is None:
            if len(self._selected) >= MAX_REMEMBERED:
                self._selected.clear()
            selected = self._selected[key] = tuple(
                (place, rule) for place, rule in self._rules[begin:] if _is_needed(rule, fields, turns)
            )
        return selected


def _is_needed(rule: Rule, fields: frozenset[str], turns: frozenset[str]) -> bool:
    looks_at_all = not rule.fields and not rule.turns
    return looks_at_all or not (rule.fields.isdisjoint(fields) and rule.turns.isdisjoint(turns))
