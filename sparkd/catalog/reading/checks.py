"""What must hold between keys, between models, and between models and runtimes.

Each check is a generator of problems, one line each. A check looks at a key only where its value is usable:
what is wrong with the value itself was told when it was read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from sparkd.catalog.addresses import parse_listen
from sparkd.catalog.names import is_variable
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.origins import Table
from sparkd.catalog.reading.drafts import Draft
from sparkd.catalog.reading.model_checks import MODEL_CHECKS
from sparkd.catalog.settings import Memory, Settings
from sparkd.catalog.sizes import size_text
from sparkd.catalog.wording import dotted, either, problem, wrong_value


def check_settings(settings: Settings, tables: Mapping[str, Table]) -> Iterator[str]:
    """Relations between settings."""
    server, memory, failures = (tables[name] for name in ("server", "memory", "failures"))
    if "listen" not in server.wrong:
        try:
            parse_listen(settings.server.listen)
        except ValueError:
            text = 'expected host:port, such as "127.0.0.1:8009" or "[::1]:8009"'
            yield wrong_value(*server.place("listen"), settings.server.listen, text)
    first, longest = settings.failures.backoff, settings.failures.backoff_max
    if failures.wrong.isdisjoint(("backoff", "backoff_max")) and longest < first:
        if "backoff_max" in failures.values:
            text = f"expected at least failures.backoff ({first:g})"
            yield wrong_value(*failures.place("backoff_max"), longest, text)
        else:
            text = f"expected at most failures.backoff_max ({longest:g})"
            yield wrong_value(*failures.place("backoff"), first, text)
    total, reserve = settings.memory.total, settings.memory.reserve
    if not memory.wrong and total is not None and reserve >= total:
        text = f"expected more than memory.reserve ({size_text(reserve)}), or nothing is left for models"
        yield wrong_value(*memory.place("total"), size_text(total), text)


def check_runtime(table: Table) -> Iterator[str]:
    """What a definition of a runtime must hold beyond the types of its keys."""
    for key in ("environment", "environment_aarch64"):
        for name, value in table.values.get(key, {}).items():
            if not is_variable(name):
                text = "expected the name of a variable: letters, digits and _"
                yield wrong_value(table.file, dotted(key, name), value, text)
    names: set[str] = set()
    for number, step in enumerate(table.values.get("steps", ()), start=1):
        if step.step in names:
            text = "another step has this name"
            yield wrong_value(table.file, f"steps.{number}.step", step.step, text)
        names.add(step.step)
        places = [("sources", part.into) for part in step.sources]
        places += [("patches", place) for patch in step.patches for place in (patch.into, patch.file)]
        for kind, place in places:
            if place.startswith("/") or ".." in place.split("/"):
                text = "expected a path that stays inside"
                yield wrong_value(table.file, f"steps.{number}.{kind}", place, text)


def check_models(drafts: Sequence[Draft], settings: Settings, tables: Mapping[str, Table]) -> Iterator[str]:
    """Every check of every model, then those between models."""
    for draft in drafts:
        for check in MODEL_CHECKS:
            yield from check(draft)
    yield from _aliases_are_unique(drafts)
    yield from _one_utility(drafts)
    if not tables["memory"].wrong:
        yield from _memory_suffices(drafts, settings.memory, tables["memory"])


def check_runtimes_exist(
    drafts: Sequence[Draft], defaults: Mapping[str, Table], runtimes: Collection[str], venvs: Path
) -> Iterator[str]:
    """Every runtime that a model, or a table of `defaults` for the models of a runtime, names is there."""

    def missing(name: str) -> str:
        there = either(sorted(runtimes)[:5]) if runtimes else "none"
        return f"there is no such runtime{did_you_mean(name, runtimes) or f'; {venvs} has {there}'}"

    for name, table in defaults.items():
        if name not in runtimes:
            yield problem(*table.place(), missing(name))
    for draft in drafts:
        runtime = draft.model.runtime
        if runtime and runtime not in runtimes:
            yield draft.tell_key(missing(runtime), runtime, "runtime")


def _aliases_are_unique(drafts: Sequence[Draft]) -> Iterator[str]:
    taken = {draft.model.id: f"the id of a model in {draft.file}" for draft in drafts}
    for draft in drafts:
        named = [(alias, "aliases") for alias in draft.model.aliases]
        named += [(alias, "rewriting") for alias in draft.model.rewriting.presets]
        for alias, key in named:
            if alias in taken:
                inner = ("presets",) if key == "rewriting" else ()
                yield draft.tell_key(f"is {taken[alias]}", alias, key, *inner)
            else:
                taken[alias] = f'an alias of "{draft.model.id}" in {draft.table.origin(key).file}'


def _one_utility(drafts: Sequence[Draft]) -> Iterator[str]:
    utilities = _utilities(drafts)
    for draft in utilities[1:]:
        first = utilities[0]
        text = (
            f'"{first.model.id}" in {first.table.origin("lifecycle").file} is the utility; there can be one'
        )
        yield draft.tell_key(text, "utility", "lifecycle")


def _memory_suffices(drafts: Sequence[Draft], memory: Memory, table: Table) -> Iterator[str]:
    if memory.total is None or memory.reserve >= memory.total:
        return
    elsewhere = table.origin("total").file != table.file
    budget = memory.total - memory.reserve
    utilities = _utilities(drafts)
    beside = utilities[0].model.memory or 0 if utilities and utilities[0].usable("memory") else 0
    for draft in drafts:
        needed = draft.model.memory
        if needed is None or not draft.model.enabled:
            continue
        if elsewhere and draft.table.origin("memory").file == table.file:
            continue  # a drop-in tells of a machine that the catalogue does not know: what is too large waits there
        if needed > budget:
            text = f"more than the budget, {size_text(budget)} (memory.total - memory.reserve)"
            yield draft.tell_key(text, size_text(needed), "memory")
        elif draft.model.lifecycle == "normal" and beside <= budget < needed + beside:
            text = (
                f'does not fit beside the utility "{utilities[0].model.id}" ({size_text(beside)}) in the budget, '
                f"{size_text(budget)}; make it smaller, or exclusive"
            )
            yield draft.tell_key(text, size_text(needed), "memory")


def _utilities(drafts: Sequence[Draft]) -> list[Draft]:
    return [draft for draft in drafts if draft.model.enabled and draft.model.lifecycle == "utility"]
