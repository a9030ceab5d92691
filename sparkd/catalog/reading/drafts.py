"""A model before it has been checked, with the origin of its keys for the text of problems."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sparkd.catalog.definitions import Model
from sparkd.catalog.origins import Table
from sparkd.catalog.reading.layers import CHANGES, MODELS
from sparkd.catalog.wording import dotted, problem, wrong_value


@dataclass(frozen=True, slots=True)
class Draft:
    """A model and the table that it was made from. A key with an unusable value has its default in `model`."""

    model: Model
    table: Table

    @property
    def file(self) -> Path:
        """The file that defines the model."""
        return self.table.file

    def usable(self, *keys: str) -> bool:
        """Whether the values of these keys are all usable."""
        return self.table.wrong.isdisjoint(keys)

    def tell(self, text: str) -> str:
        """A problem with the model as a whole."""
        return problem(self.file, dotted(MODELS, self.model.id), text)

    def tell_key(self, text: str, value: object, key: str, *inner: str) -> str:
        """A problem with a value, with the file and the table that set it."""
        return wrong_value(*self.table.place(key, *inner), value, text)

    def says_itself(self, key: str) -> bool:
        """Whether the model's own table, or a change of it, sets the key, not just its family or runtime."""
        return key in self.table.values and self.table.origin(key).table[0] in (MODELS, CHANGES)
