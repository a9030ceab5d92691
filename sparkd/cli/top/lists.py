"""The two lists of `sparkctl top`: which rows they have, in which order, and which one is selected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct

from sparkd.cli.screen.model_rows import is_running
from sparkd.cli.screen.view import RESIDENT, RequestRow, View
from sparkd.scheduling.status import ModelStatus

Row = TypeVar("Row", ModelStatus, RequestRow)


class Order(Struct, frozen=True):
    """An order of rows: its name, the column that shows it ("" for none), and the value, largest first."""

    name: str
    column: str
    value: Callable[[Any, View], Any]


MODEL_ORDERS: Final = (
    Order("activity", "", lambda model, view: (is_running(model), view.speed_of(model.id) or 0.0)),
    Order("tokens per second", "speed", lambda model, view: view.speed_of(model.id) or -1.0),
    Order("memory", "memory", lambda model, view: _memory_of(model)),  # noqa: ARG005
    Order("age", "since", lambda model, view: (is_running(model), model.state_seconds)),  # noqa: ARG005
)
REQUEST_ORDERS: Final = (
    Order("age", "age", lambda row, view: row.seconds),  # noqa: ARG005
    Order("tokens per second", "speed", lambda row, view: -1.0 if row.speed is None else row.speed),  # noqa: ARG005
    Order("tokens out", "out", lambda row, view: row.tokens_out or -1),  # noqa: ARG005
)


def _memory_of(model: ModelStatus) -> tuple[bool, int]:
    is_resident = model.state in RESIDENT
    return is_resident, (model.memory_used or model.footprint) if is_resident else model.footprint


class SelectableList(Generic[Row]):
    """Rows in an order, one of them selected. The selection stays with its row when rows move."""

    def __init__(self, orders: Sequence[Order]) -> None:
        self.orders = orders
        self.order = orders[0]
        self.is_reversed = False
        self.rows: list[Row] = []
        self.selected_id: str | None = None
        self._index = 0
        self._offset = 0

    @property
    def selected(self) -> Row | None:
        """The selected row, None if the list is empty."""
        return self.rows[self._index] if self.rows else None

    def update(self, rows: Sequence[Row], view: View) -> None:
        """Take these rows."""
        value = self.order.value
        ordered = sorted(rows, key=lambda row: row.id)
        ordered.sort(key=lambda row: value(row, view), reverse=not self.is_reversed)
        self.rows = ordered
        found = next((number for number, row in enumerate(ordered) if row.id == self.selected_id), None)
        self._select(self._index if found is None else found)

    def move(self, steps: int) -> None:
        """Select a row further down, or up if `steps` is negative."""
        self._select(self._index + steps)

    def visible(self, height: int) -> list[tuple[Row, bool]]:
        """The rows that `height` lines show, each with whether it is selected."""
        height = max(1, height)
        if self._index < self._offset:
            self._offset = self._index
        elif self._index >= self._offset + height:
            self._offset = self._index - height + 1
        self._offset = max(0, min(self._offset, len(self.rows) - height))
        shown = self.rows[self._offset : self._offset + height]
        return [(row, self._offset + number == self._index) for number, row in enumerate(shown)]

    def sort_by(self, name: str) -> None:
        """Use the order with this name; reverse it if it is in use. Ignores a name that this list does not have."""
        for order in self.orders:
            if order.name == name:
                self.is_reversed = order is self.order and not self.is_reversed
                self.order = order

    def sort_by_next(self) -> None:
        """Use the next order."""
        self.order = self.orders[(self.orders.index(self.order) + 1) % len(self.orders)]
        self.is_reversed = False

    def _select(self, index: int) -> None:
        self._index = max(0, min(index, len(self.rows) - 1))
        self.selected_id = self.rows[self._index].id if self.rows else self.selected_id


def match_models(view: View, text: str, *, only_running: bool) -> list[ModelStatus]:
    """The enabled models whose id or state has `text` in it."""
    text = text.casefold()
    return [
        model
        for model in view.models
        if model.enabled
        and (not only_running or is_running(model))
        and (text in model.id.casefold() or text in model.state)
    ]


def match_requests(view: View, text: str) -> list[RequestRow]:
    """The requests that have `text` in any of their names."""
    text = text.casefold()
    return [
        row
        for row in view.requests
        if any(
            text in each.casefold()
            for each in (row.model, row.asked, row.client, row.program, row.endpoint, row.phase, row.id)
        )
    ]
