"""Rules between the names of models: each name, and each pattern, leads to one model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from sparkd.catalog.definitions import Model
from sparkd.catalog.messages import format_value_problem
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.origins import Table
from sparkd.catalog.patterns import is_pattern, overlap, specificity
from sparkd.catalog.reading.drafts import Draft


def check_aliases_unique(drafts: Sequence[Draft]) -> Iterator[str]:
    """Check that no two models have the same name."""
    taken = {draft.model.id: f"the id of a model in {draft.file}" for draft in drafts}
    for draft in drafts:
        named = [(alias, "aliases") for alias in draft.model.aliases]
        named += [(alias, "rewriting") for alias in draft.model.rewriting.presets]
        for alias, key in named:
            if alias in taken:
                inner = ("presets",) if key == "rewriting" else ()
                yield draft.report_key(f"is {taken[alias]}", alias, key, *inner)
            else:
                taken[alias] = f'an alias of "{draft.model.id}" in {draft.table.origin_of(key).file}'


def check_patterns(drafts: Sequence[Draft]) -> Iterator[str]:
    """Check that no name matches patterns of two models that are equally specific."""
    groups: dict[tuple[int, int], list[tuple[str, Draft]]] = {}
    for draft in drafts:
        for alias in draft.model.aliases:
            if draft.model.enabled and is_pattern(alias):
                groups.setdefault(specificity(alias), []).append((alias, draft))
    for group in groups.values():
        for (first, owner), (second, draft) in combinations(group, 2):
            if owner is not draft and first != second and overlap(first, second):
                text = (
                    f'a name may match this and "{first}" of "{owner.model.id}", and neither is more specific; '
                    "change one of them"
                )
                yield draft.report_key(text, second, "aliases")


def check_default_model(drafts: Sequence[Draft], name: str | None, table: Table) -> Iterator[str]:
    """Check that the default model exists and is enabled."""
    if name is None or "default_model" in table.invalid_keys:
        return
    names = _exact_names(drafts)
    if name not in names:
        enabled = (known for known, model in names.items() if model.enabled)
        text = f"there is no such model{did_you_mean(name, enabled)}"
        yield format_value_problem(*table.locate_key("default_model"), name, text)
    elif not names[name].enabled:
        text = f'the model "{names[name].id}" is disabled'
        yield format_value_problem(*table.locate_key("default_model"), name, text)


def check_choices(
    drafts: Sequence[Draft], choices: Mapping[str, Sequence[str]], table: Table
) -> Iterator[str]:
    """Check that each choice has a name of its own, and models that exist."""
    if "choices" in table.invalid_keys:
        return
    names = _exact_names(drafts)
    for choice, members in choices.items():
        place = table.locate_key("choices", choice)
        if choice in names:
            yield format_value_problem(
                *place, choice, f'the model "{names[choice].id}" has this name; use another one'
            )
        if not members:
            yield format_value_problem(*place, [], "expected at least one model")
        for member in members:
            if member not in names:
                text = f"there is no such model{did_you_mean(member, names)}"
                yield format_value_problem(*place, member, text)


def _exact_names(drafts: Sequence[Draft]) -> dict[str, Model]:
    """The models by each of their names that is not a pattern."""
    return {
        known: draft.model
        for draft in drafts
        for known in (draft.model.id, *draft.model.aliases, *draft.model.rewriting.presets)
        if not is_pattern(known)
    }
