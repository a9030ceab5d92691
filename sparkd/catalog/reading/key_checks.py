"""Checks of `[keys.<name>]`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sparkd.catalog.key_policy import KeyPolicy
from sparkd.catalog.messages import format_value_problem
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.origins import Table
from sparkd.catalog.patterns import compile_pattern, is_pattern
from sparkd.catalog.reading.drafts import Draft


def check_keys(
    keys: Mapping[str, KeyPolicy], tables: Mapping[str, Table], drafts: Sequence[Draft]
) -> Iterator[str]:
    """Check that every name and pattern in `models` means a model."""
    names = [
        name
        for draft in drafts
        for name in (draft.model.id, *draft.model.aliases, *draft.model.rewriting.presets)
    ]
    for key, policy in keys.items():
        for wanted in policy.models:
            if is_pattern(wanted):
                pattern = compile_pattern(wanted)
                is_known = any(pattern.match(name.casefold()) for name in names)
            else:
                is_known = wanted in names
            if not is_known:
                text = f"there is no such model{did_you_mean(wanted, names)}"
                yield format_value_problem(*tables[key].locate_key("models"), wanted, text)
