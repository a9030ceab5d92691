"""A model before it is known to be good, with what the checks need to tell about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sparkd.catalog.definitions import Model
from sparkd.catalog.origins import Table
from sparkd.catalog.reading.layers import CHANGES, MODELS
from sparkd.catalog.wording import dotted, problem, wrong_value


@dataclass(frozen=True, slots=True)
class Draft:
    """A model and the table it was made from. A key with an unusable value has its default in `model`."""

    model: Model
    table: Table

    @property
    def file(self) -> Path:
        """The file that defines the model."""
        return self.table.file

    def usable(self, *keys: str) -> bool:
        """Whether nothing was wrong with the values of these keys."""
        return self.table.wrong.isdisjoint(keys)

    def tell(self, text: str) -> str:
        """A problem with the model as a whole."""
        return problem(self.file, dotted(MODELS, self.model.id), text)

    def tell_key(self, text: str, value: object, key: str, *inner: str) -> str:
        """A problem with a value, told of the file and the table that have the last word on it."""
        return wrong_value(*self.table.place(key, *inner), value, text)

    def says_itself(self, key: str) -> bool:
        """Whether the model's own table, or a change of it, has the key: not only its family or runtime."""
        return key in self.table.values and self.table.origin(key).table[0] in (MODELS, CHANGES)
