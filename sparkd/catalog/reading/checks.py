"""Rules between keys, between models, and between models and runtimes.

Each check is a generator of problems, one line each. A check uses a key only if its value is usable: a problem with
the value itself was reported when it was read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from sparkd.catalog.addresses import parse_listen
from sparkd.catalog.hosts import HostList, OriginList
from sparkd.catalog.messages import format_problem, format_value_problem, join_key, join_with_or
from sparkd.catalog.names import is_variable
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.origins import Table
from sparkd.catalog.reading.drafts import Draft
from sparkd.catalog.reading.model_checks import MODEL_CHECKS
from sparkd.catalog.reading.name_checks import (
    check_aliases_unique,
    check_choices,
    check_default_model,
    check_patterns,
)
from sparkd.catalog.settings import Memory, Server, Settings
from sparkd.catalog.sizes import format_size


def check_settings(settings: Settings, tables: Mapping[str, Table]) -> Iterator[str]:
    """Check rules between settings."""
    server, memory, failures = (tables[name] for name in ("server", "memory", "failures"))
    yield from _check_server(settings.server, server)
    first, longest = settings.failures.backoff, settings.failures.backoff_max
    if failures.invalid_keys.isdisjoint(("backoff", "backoff_max")) and longest < first:
        if "backoff_max" in failures.values:
            text = f"expected at least failures.backoff ({first:g})"
            yield format_value_problem(*failures.locate_key("backoff_max"), longest, text)
        else:
            text = f"expected at most failures.backoff_max ({longest:g})"
            yield format_value_problem(*failures.locate_key("backoff"), first, text)
    total, reserve = settings.memory.total, settings.memory.reserve
    if not memory.invalid_keys and total is not None and reserve >= total:
        text = f"expected more than memory.reserve ({format_size(reserve)}), because models need the rest"
        yield format_value_problem(*memory.locate_key("total"), format_size(total), text)


def _check_server(settings: Server, table: Table) -> Iterator[str]:
    """Check each address, name and origin."""
    listen, ollama_listen = (
        (each,) if isinstance(each, str) else each for each in (settings.listen, settings.ollama_listen)
    )
    example = 'expected host:port, such as "127.0.0.1:{}" or "[::1]:{}"'
    checks: tuple[tuple[str, tuple[str, ...], Callable[[str], object], str], ...] = (
        ("listen", listen, parse_listen, example.format(8009, 8009)),
        ("ollama_listen", ollama_listen, parse_listen, example.format(11434, 11434)),
        (
            "hosts",
            settings.hosts,
            lambda entry: HostList([entry]),
            'expected a name or an address, such as "spark.lan"',
        ),
        (
            "origins",
            settings.origins,
            lambda entry: OriginList([entry]),
            'expected scheme://host:port without a path, such as "https://chat.lan"',
        ),
    )
    for key, entries, parse, text in checks:
        if key in table.invalid_keys:
            continue
        for entry in entries:
            try:
                parse(entry)
            except ValueError:
                yield format_value_problem(*table.locate_key(key), entry, text)
    if not listen:
        yield format_value_problem(*table.locate_key("listen"), [], "expected at least one address")


def check_runtime(table: Table) -> Iterator[str]:
    """Check a definition of a runtime beyond the types of its keys."""
    for key in ("environment", "environment_aarch64"):
        for name, value in table.values.get(key, {}).items():
            if not is_variable(name):
                text = "expected the name of a variable: letters, digits and _"
                yield format_value_problem(table.file, join_key(key, name), value, text)
    names: set[str] = set()
    for number, step in enumerate(table.values.get("steps", ()), start=1):
        if step.step in names:
            text = "another step has this name"
            yield format_value_problem(table.file, f"steps.{number}.step", step.step, text)
        names.add(step.step)
        places = [("sources", part.into) for part in step.sources]
        places += [("patches", place) for patch in step.patches for place in (patch.into, patch.file)]
        for kind, place in places:
            if place.startswith("/") or ".." in place.split("/"):
                text = "expected a relative path without .."
                yield format_value_problem(table.file, f"steps.{number}.{kind}", place, text)


def check_models(
    drafts: Sequence[Draft], settings: Settings, tables: Mapping[str, Table], choices: Table
) -> Iterator[str]:
    """Run every check of every model, then the checks between models."""
    for draft in drafts:
        for check in MODEL_CHECKS:
            yield from check(draft)
    yield from check_aliases_unique(drafts)
    yield from check_patterns(drafts)
    yield from check_choices(drafts, choices)
    yield from check_default_model(drafts, settings.server.default_model, tables["server"], choices)
    yield from _check_single_utility(drafts)
    if not tables["memory"].invalid_keys:
        yield from _check_memory(drafts, settings.memory, tables["memory"])


def check_runtimes_exist(
    drafts: Sequence[Draft],
    defaults: Mapping[str, Table],
    launchers: Table,
    runtimes: Collection[str],
    venvs: Path,
) -> Iterator[str]:
    """Check that every runtime exists that a model, a table of `defaults` for a runtime, or `launchers` names."""

    def missing(name: str) -> str:
        there = join_with_or(sorted(runtimes)[:5]) if runtimes else "none"
        return f"there is no such runtime{did_you_mean(name, runtimes) or f'; {venvs} has {there}'}"

    for name, table in defaults.items():
        if name not in runtimes:
            yield format_problem(*table.locate_key(), missing(name))
    for name in launchers.values.get("preload", ()):
        if name not in runtimes:
            yield format_value_problem(*launchers.locate_key("preload"), name, missing(name))
    for draft in drafts:
        runtime = draft.model.runtime
        if runtime and runtime not in runtimes:
            yield draft.report_key(missing(runtime), runtime, "runtime")


def _check_single_utility(drafts: Sequence[Draft]) -> Iterator[str]:
    utilities = _utilities(drafts)
    for draft in utilities[1:]:
        first = utilities[0]
        text = f'"{first.model.id}" in {first.table.origin_of("lifecycle").file} is the utility model; only one can be'
        yield draft.report_key(text, "utility", "lifecycle")


def _check_memory(drafts: Sequence[Draft], memory: Memory, table: Table) -> Iterator[str]:
    if memory.total is None or memory.reserve >= memory.total:
        return
    elsewhere = table.origin_of("total").file != table.file
    budget = memory.total - memory.reserve
    utilities = _utilities(drafts)
    resident = utilities[0].model.memory or 0 if utilities and utilities[0].are_usable("memory") else 0
    for draft in drafts:
        needed = draft.model.memory
        if needed is None or not draft.model.enabled:
            continue
        if elsewhere and draft.table.origin_of("memory").file == table.file:
            continue  # a drop-in describes another machine than the catalogue: its models that are too large just wait
        if needed > budget:
            text = f"more than the budget, {format_size(budget)} (memory.total - memory.reserve)"
            yield draft.report_key(text, format_size(needed), "memory")
        elif draft.model.lifecycle == "normal" and resident <= budget < needed + resident:
            text = (
                f"does not fit into the budget of {format_size(budget)} beside the utility model "
                f'"{utilities[0].model.id}" ({format_size(resident)}); lower it, or set lifecycle = "exclusive"'
            )
            yield draft.report_key(text, format_size(needed), "memory")


def _utilities(drafts: Sequence[Draft]) -> list[Draft]:
    return [draft for draft in drafts if draft.model.enabled and draft.model.lifecycle == "utility"]
