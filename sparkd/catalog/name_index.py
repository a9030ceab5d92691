"""Finds the model, or the choice, that a client means, also if it writes the name in another way than the catalogue.

A name is tried as it is. Then each of these is tried, and counts only if it leads to exactly one model:

1. without surrounding blanks and in any case: `GPT-OSS-20B`
2. as the source of a model, or the end of it: `openai/gpt-oss-20b`, or `gpt-oss-20b` for a model with that source
3. with `:latest` removed, and with a colon read as a dash: `gpt-oss-20b:latest`, `gpt-oss:20b`
4. without the providers in front of it: `openrouter/openai/gpt-oss-20b`
5. as a name that a pattern matches: `claude-*`
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from types import MappingProxyType

from sparkd.catalog.choices import WARM, Found, make_choices, make_warm
from sparkd.catalog.definitions import Model
from sparkd.catalog.patterns import compile_pattern, is_pattern, specificity

LONGEST = 300
"""Characters; a longer name is not tried in other ways. A client that sends such names makes a mistake."""

CACHED = 1024
"""Names that were tried in other ways, of which the outcome is kept."""

MOST_PREFIXES = 4
"""Segments in front of a name that can be the names of providers."""


class NameIndex:
    """The names of all models. `exact` has every name of one model that is not a pattern, `choices` those of several.

    `default` is what the name of the default model leads to.
    """

    def __init__(
        self,
        models: Iterable[Model],
        choices: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
        default: str | None = None,
    ) -> None:
        self._models = tuple(models)
        self.exact: dict[str, Found] = {
            name: Found(model, name)
            for model in self._models
            for name in (model.id, *model.aliases, *model.rewriting.presets)
            if not is_pattern(name)
        }
        self.choices = dict(make_choices(choices, self.exact))
        self.default = self.exact.get(default or "") or self.choices.get(default or "")
        if WARM not in self.exact and WARM not in self.choices:
            if warm := make_warm(self._models, self.default):
                self.choices[WARM] = warm
            if default == WARM:
                self.default = warm
        self._tables: tuple[Mapping[str, Found], ...] | None = None
        self._relaxed: dict[str, Found | None] = {}
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
        """The model that this name means, or the models to choose from; None if it is not clear, or no name."""
        found = self.exact.get(name) or self.choices.get(name)
        if found is None and len(name) <= LONGEST:
            if name not in self._relaxed:
                if len(self._relaxed) >= CACHED:
                    self._relaxed.clear()
                self._relaxed[name] = self._relax(name)
            found = self._relaxed[name]
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
        known = (*self.exact.items(), *self.choices.items())
        names = [(name.casefold(), found) for name, found in known]
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
        first = enabled[0]
        if all(found.model is first.model and found.choice is first.choice for found in enabled):
            kept[name] = first
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
