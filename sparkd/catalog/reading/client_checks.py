"""Rules for `[keys.<name>]` and `[clients.<name>]`. Each check is a generator of problems, one line each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from sparkd.catalog.client_rules import ClientRule
from sparkd.catalog.messages import format_problem, format_value_problem
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.origins import Table
from sparkd.catalog.patterns import compile_pattern
from sparkd.catalog.reading.drafts import Draft

_HEADER = re.compile(r"[A-Za-z0-9-]+")


def check_keys(tables: Mapping[str, Table], drafts: Sequence[Draft]) -> Iterator[str]:
    """Check that each entry of `models` means a model."""
    models = [draft.model for draft in drafts]
    names = [name for model in models for name in (model.id, *model.aliases, *model.rewriting.presets)]
    folded = {name.casefold() for name in names}
    for table in tables.values():
        for entry in () if "models" in table.invalid_keys else table.values.get("models", ()):
            matches = compile_pattern(entry).match
            if not any(map(matches, folded)):
                text = f"no model has this name{did_you_mean(entry, names)}"
                yield format_value_problem(*table.locate_key("models"), entry, text)


def check_clients(tables: Mapping[str, Table]) -> Iterator[str]:
    """Check that each table has a condition, and that headers and paths can occur in a request."""
    for table in tables.values():
        if table.invalid_keys:
            continue
        rule = ClientRule(**table.values)
        if not rule.conditions:
            text = "needs a condition: keys, headers, paths, models, shape or prompts"
            yield format_problem(*table.locate_key(), text)
        for header, pattern in rule.headers.items():
            if not _HEADER.fullmatch(header):
                text = 'expected the name of a header, such as "user-agent"'
                yield format_value_problem(*table.locate_key("headers", header), pattern, text)
        for path in rule.paths:
            if not path.startswith(("/", "*")):
                text = 'expected a path that begins with / or a pattern, such as "/v1/audio/*"'
                yield format_value_problem(*table.locate_key("paths"), path, text)
        for prompt in rule.prompts:
            if not prompt.strip():
                text = "expected how a prompt begins, at least one character"
                yield format_value_problem(*table.locate_key("prompts"), prompt, text)
