"""A model before it has been checked, with the origin of its keys for the text of problems."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from sparkd.catalog.definitions import Model
from sparkd.catalog.messages import format_problem, format_value_problem, join_key
from sparkd.catalog.origins import Table
from sparkd.catalog.reading.layers import CHANGES, MODELS


class Draft(Struct, frozen=True):
    """A model and the table that it was made from. A key with an unusable value has its default in `model`."""

    model: Model
    table: Table

    @property
    def file(self) -> Path:
        """The file that defines the model."""
        return self.table.file

    def are_usable(self, *keys: str) -> bool:
        """Whether the values of these keys are all usable."""
        return self.table.invalid_keys.isdisjoint(keys)

    def report(self, text: str) -> str:
        """A problem with the model as a whole."""
        return format_problem(self.file, join_key(MODELS, self.model.id), text)

    def report_key(self, text: str, value: object, key: str, *inner: str) -> str:
        """A problem with a value, with the file and the table that set it."""
        return format_value_problem(*self.table.locate_key(key, *inner), value, text)

    def has_own(self, key: str) -> bool:
        """Whether the model's own table, or a change of it, sets the key, not just its family or runtime."""
        return key in self.table.values and self.table.origin_of(key).table[0] in (MODELS, CHANGES)
