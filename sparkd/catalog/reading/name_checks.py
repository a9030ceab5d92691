"""Rules between the names of models: each name, and each pattern, leads to one model, and a choice to several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from sparkd.catalog.choices import WARM
from sparkd.catalog.definitions import Model
from sparkd.catalog.messages import format_problem, format_value_problem
from sparkd.catalog.names import NAME_RULE, RESERVED_PATH_SEGMENTS, is_id
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.origins import Table
from sparkd.catalog.patterns import is_pattern, overlap, specificity
from sparkd.catalog.reading.drafts import Draft
from sparkd.catalog.reading.layers import CHOICES


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


def check_choices(drafts: Sequence[Draft], table: Table) -> Iterator[str]:
    """Check that each choice has a name of its own, and that each of its models exists."""
    names = _names_of_models(drafts)
    choices: Mapping[str, tuple[str, ...]] = table.values.get(CHOICES, {})
    for name, entries in choices.items():
        file, key = table.locate_key(CHOICES, name)
        if not is_id(name):
            yield format_problem(file, key, f"expected {NAME_RULE}")
        if name in RESERVED_PATH_SEGMENTS:
            yield format_problem(
                file, key, f"is the beginning of an API path (/v1/{name}); choose another name"
            )
        if name in names:
            yield format_problem(file, key, f'is a name of the model "{names[name].id}"; choose another name')
        for entry in entries:
            if entry not in names:
                yield format_value_problem(file, key, entry, _explain_no_model(entry, names, choices))
        known = [names[entry] for entry in entries if entry in names]
        if len(known) == len(entries) and not any(model.enabled for model in known):
            problem = "each of these models is disabled" if entries else "expected at least one model"
            yield format_value_problem(file, key, list(entries), problem)


def _explain_no_model(entry: str, names: Mapping[str, Model], choices: Mapping[str, tuple[str, ...]]) -> str:
    if entry in choices or entry == WARM:
        return "is a choice; expected a model"
    if is_pattern(entry):
        return "expected a model, not a pattern"
    return f"there is no such model{did_you_mean(entry, names)}"


def _names_of_models(drafts: Sequence[Draft]) -> Mapping[str, Model]:
    return {
        known: draft.model
        for draft in drafts
        for known in (draft.model.id, *draft.model.aliases, *draft.model.rewriting.presets)
        if not is_pattern(known)
    }


def check_default_model(
    drafts: Sequence[Draft], name: str | None, table: Table, choices: Table
) -> Iterator[str]:
    """Check that the default model exists and is enabled, or is a choice."""
    if name is None or "default_model" in table.invalid_keys:
        return
    names = _names_of_models(drafts)
    if name not in names:
        known_choices = {WARM, *choices.values.get(CHOICES, {})}
        if name in known_choices:
            return
        enabled = [*(known for known, model in names.items() if model.enabled), *known_choices]
        text = f"there is no such model{did_you_mean(name, enabled)}"
        yield format_value_problem(*table.locate_key("default_model"), name, text)
    elif not names[name].enabled:
        text = f'the model "{names[name].id}" is disabled'
        yield format_value_problem(*table.locate_key("default_model"), name, text)
