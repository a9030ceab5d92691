"""Names that stand for several models, of which the gateway chooses one for each request.

The owner defines them in `[choices]`. One is built in: `warm`, any model that is loaded; if none is, the default model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Final

from msgspec import Meta, Struct

from sparkd.catalog.definitions import Model

WARM: Final = "warm"
"""The built-in choice. A model with this name, or a choice of the owner's, replaces it."""


class ChoiceTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[choices]`: names that stand for several models."""

    choices: Annotated[
        Mapping[str, tuple[str, ...]],
        Meta(
            description="A request for the name is served by the first of these models that is loaded; if none is, by "
            "the first that is loading already, or else by the first that can be loaded. Models that cannot do what "
            "the request needs are left out. Each is an id, an alias or a preset."
        ),
    ] = {}


class Found(Struct, frozen=True):
    """A model, and the name that the catalogue has for it: the id, an alias or a preset. A pattern's is the id.

    If the name stands for several models, `choice` has them, and `model` is the first one.
    """

    model: Model
    name: str
    choice: Choice | None = None


class Choice(Struct, frozen=True, eq=False):
    """A name for several models. `candidates` are enabled, the preferred one first; there is at least one."""

    name: str
    candidates: tuple[Found, ...]

    @property
    def models(self) -> list[Model]:
        """Its models, each once."""
        return list({found.model.id: found.model for found in self.candidates}.values())

    def as_found(self) -> Found:
        """The choice as what a name leads to."""
        return Found(self.candidates[0].model, self.name, self)


def make_choices(table: Mapping[str, tuple[str, ...]], names: Mapping[str, Found]) -> Mapping[str, Found]:
    """The owner's choices by their names. `names` are those of the models. Disabled models are left out."""
    choices: dict[str, Found] = {}
    for name, entries in table.items():
        candidates = tuple(names[entry] for entry in entries if names[entry].model.enabled)
        if candidates:
            choices[name] = Choice(name, candidates).as_found()
    return choices


def make_warm(models: Iterable[Model], default: Found | None) -> Found | None:
    """The choice `warm`: the default model, then the others as the catalogue has them, the utility model last.

    Models with the status "manual" are left out. None if there is no model.
    """
    candidates = tuple(_list_warm(models, default))
    return Choice(WARM, candidates).as_found() if candidates else None


def _list_warm(models: Iterable[Model], default: Found | None) -> Iterator[Found]:
    preferred = () if default is None else default.choice.candidates if default.choice else (default,)
    yield from preferred
    known = {found.model.id for found in preferred}
    others = [
        model for model in models if model.status in ("validated", "experimental") and model.id not in known
    ]
    for model in sorted(others, key=lambda model: model.lifecycle == "utility"):
        yield Found(model, model.id)
