"""Finds the model that a client means, also if it writes the name in another way than the catalogue does.

A name is tried as it is. Then each of these is tried, and counts only if it leads to exactly one model:

1. without surrounding blanks and in any case: `GPT-OSS-20B`
2. as the source of a model, or the end of it: `openai/gpt-oss-20b`, or `gpt-oss-20b` for a model with that source
3. with `:latest` removed, and with a colon read as a dash: `gpt-oss-20b:latest`, `gpt-oss:20b`
4. without the providers in front of it: `openrouter/openai/gpt-oss-20b`
5. as a name that a pattern matches: `claude-*`
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from operator import itemgetter

from msgspec import Struct

from sparkd.catalog.definitions import Model
from sparkd.catalog.patterns import compile_pattern, is_pattern, specificity

LONGEST = 300
"""Characters; a longer name is not tried in other ways. A client that sends such names makes a mistake."""

CACHED = 1024
"""Names that were tried in other ways, of which the outcome is kept."""

MOST_PREFIXES = 4
"""Segments in front of a name that can be the names of providers."""


class Found(Struct, frozen=True):
    """A model, and the name that the catalogue has for it: the id, an alias or a preset. A pattern's is the id."""

    model: Model
    name: str


class NameIndex:
    """The names of all models. `exact` has every name that is not a pattern."""

    def __init__(self, models: Iterable[Model]) -> None:
        self._models = tuple(models)
        self.exact: dict[str, Found] = {
            name: Found(model, name)
            for model in self._models
            for name in (model.id, *model.aliases, *model.rewriting.presets)
            if not is_pattern(name)
        }
        self._tables: tuple[Mapping[str, Found], ...] | None = None
        self._relax_cached = lru_cache(maxsize=CACHED)(self._relax)
        self._patterns = sorted(
            (
                (specificity(alias), compile_pattern(alias), Found(model, model.id))
                for model in self._models
                if model.enabled
                for alias in model.aliases
                if is_pattern(alias)
            ),
            key=itemgetter(0),
            reverse=True,
        )

    def find(self, name: str) -> Found | None:
        """The model that this name means; None if it means none, or more than one."""
        found = self.exact.get(name)
        if found is None and len(name) <= LONGEST:
            found = self._relax_cached(name)
        return found

    def _relax(self, name: str) -> Found | None:
        if self._tables is None:
            self._tables = self._build_tables()
        variants = tuple(_variants(name.strip().casefold()))
        for variant in variants:
            for table in self._tables:
                if variant in table:
                    return table[variant]
        for _, pattern, found in self._patterns:
            if any(map(pattern.match, variants)):
                return found
        return None

    def _build_tables(self) -> tuple[Mapping[str, Found], ...]:
        """Names in any case; sources; the last segments of both."""
        names = [(name.casefold(), found) for name, found in self.exact.items()]
        sources = [
            (model.source.casefold(), Found(model, model.id))
            for model in self._models
            if model.source is not None and not model.source.startswith(("/", "."))
        ]
        ends = [(name.rpartition("/")[2], found) for name, found in (*names, *sources) if "/" in name]
        return _unambiguous(names), _unambiguous(sources), _unambiguous(ends)


def _unambiguous(pairs: Iterable[tuple[str, Found]]) -> Mapping[str, Found]:
    """The names that lead to one model. An enabled model counts more than disabled ones."""
    founds: dict[str, list[Found]] = {}
    for name, found in pairs:
        founds.setdefault(name, []).append(found)
    kept = {}
    for name, candidates in founds.items():
        enabled = [found for found in candidates if found.model.enabled] or candidates
        if all(found.model is enabled[0].model for found in enabled):
            kept[name] = enabled[0]
    return kept


def _variants(name: str) -> Iterator[str]:
    """Other ways to write a folded name, the most similar first."""
    segments = name.split("/")
    for start in range(min(len(segments), MOST_PREFIXES + 1)):
        shorter = "/".join(segments[start:])
        if shorter:
            yield shorter
            yield from _without_tag(shorter)


def _without_tag(name: str) -> Iterator[str]:
    if name.endswith(":latest"):
        yield name.removesuffix(":latest")
    elif ":" in name:
        yield name.replace(":", "-")
