"""The lists of `sparkctl top` on the screen: models or requests, with a filter."""

from __future__ import annotations

from typing import Final, Literal

from rich.text import Text

from sparkd.cli.output.formatting import format_count
from sparkd.cli.screen.columns import Layout
from sparkd.cli.screen.keys import ESCAPE, PASTE
from sparkd.cli.screen.model_rows import model_layout, render_model_row
from sparkd.cli.screen.sections import render_request, request_layout
from sparkd.cli.screen.style import ACCENT, DIM, HEADING, SELECTED, Characters, clean, fit
from sparkd.cli.screen.view import RequestRow, View
from sparkd.cli.top.lists import (
    MODEL_ORDERS,
    REQUEST_ORDERS,
    SelectableList,
    match_models,
    match_requests,
)
from sparkd.scheduling.status import ModelStatus

FAR: Final = 1_000_000_000
"""More rows than there are."""


class Browser:
    """Two lists, one of them shown. `is_typing` is whether keys go into the filter."""

    def __init__(self, characters: Characters) -> None:
        self.shown: Literal["models", "requests"] = "models"
        self.is_typing = False
        self.filter = ""
        self.only_running = False
        self._characters = characters
        self._models: SelectableList[ModelStatus] = SelectableList(MODEL_ORDERS)
        self._requests: SelectableList[RequestRow] = SelectableList(REQUEST_ORDERS)
        self._page = 10

    @property
    def current(self) -> SelectableList[ModelStatus] | SelectableList[RequestRow]:
        """The list that is shown."""
        return self._models if self.shown == "models" else self._requests

    @property
    def model_id(self) -> str | None:
        """The selected model, or that of the selected request."""
        if self.shown == "models":
            return self._models.selected.id if self._models.selected else None
        return self._requests.selected.model if self._requests.selected else None

    @property
    def request(self) -> RequestRow | None:
        """The selected request, None while models are shown."""
        return self._requests.selected if self.shown == "requests" else None

    def update(self, view: View) -> None:
        """Take what sparkd does now."""
        self._models.update(match_models(view, self.filter, only_running=self.only_running), view)
        self._requests.update(match_requests(view, self.filter), view)

    def change(self) -> None:
        """Show the other list."""
        self.shown = "requests" if self.shown == "models" else "models"

    def move(self, key: str) -> None:
        """Select another row, by the name of a key."""
        page = self._page
        self.current.move(
            {"up": -1, "down": 1, "pageup": -page, "pagedown": page, "home": -FAR, "end": FAR}[key]
        )

    def type(self, key: str) -> None:
        """Change the filter."""
        if key == "enter":
            self.is_typing = False
        elif key == ESCAPE:
            self.is_typing, self.filter = False, ""
        elif key == "backspace":
            self.filter = self.filter[:-1]
        elif key == "clear":
            self.filter = ""
        elif key.startswith(PASTE):
            self.filter += key.removeprefix(PASTE)
        elif len(key) == 1:
            self.filter += key
        elif key in ("up", "down", "pageup", "pagedown"):
            self.move(key)

    def draw(self, view: View, size: tuple[int, int]) -> list[Text]:
        """A title, the headings, and as many rows as fit."""
        width, height = size
        self._page = max(1, height - 3)
        layout = (model_layout if self.shown == "models" else request_layout)(width - 2, self._characters)
        lines = [self._draw_title(view, width), self._draw_heading(layout)]
        if self.shown == "models":
            lines += [
                self._mark(render_model_row(row, view, layout), is_selected=is_selected)
                for row, is_selected in self._models.visible(height - 2)
            ]
        else:
            lines += [
                self._mark(render_request(row, layout), is_selected=is_selected)
                for row, is_selected in self._requests.visible(height - 2)
            ]
        return lines[:height]

    def _draw_title(self, view: View, width: int) -> Text:
        shown = self.current
        noun = "model" if self.shown == "models" else "request"
        order = f"by {shown.order.name}{' (reversed)' if shown.is_reversed else ''}"
        text = Text.assemble(
            (self.shown.upper(), HEADING), (f"  {format_count(len(shown.rows), noun)}, {order}", DIM)
        )
        if self.filter:
            text.append(f'  with "{clean(self.filter)}"', ACCENT)
        if self.shown == "models" and self.only_running:
            text.append("  (only those that do something)", DIM)
        if self.shown == "requests" and view.requests_total > len(view.requests):
            text.append(f"  of {view.requests_total}", DIM)
        return fit(text, width, self._characters)

    def _draw_heading(self, layout: Layout) -> Text:
        order = self.current.order
        mark = self._characters.ascending if self.current.is_reversed else self._characters.descending
        return Text.assemble("  ", layout.render_heading({order.column: mark} if order.column else {}))

    def _mark(self, line: Text, *, is_selected: bool) -> Text:
        """The selected row is marked by a character as well as by its colours."""
        if not is_selected:
            return Text.assemble("  ", line)
        return Text(f"{self._characters.pointer} {line.plain}", SELECTED)
