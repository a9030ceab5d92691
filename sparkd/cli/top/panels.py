"""What `sparkctl top` shows over its lists: help, a plan, one model with its log, one request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from rich.text import Text

from sparkd.cli.output.formatting import format_duration
from sparkd.cli.output.status_table import render_model
from sparkd.cli.screen.style import BAD, DIM, HEADING, Characters, clean
from sparkd.cli.screen.text import render_lines, render_log_line, wrap
from sparkd.cli.screen.view import RequestRow, View
from sparkd.cli.top.following import FollowedModel
from sparkd.scheduling.forecast_text import describe_forecast


class Panel(Protocol):
    """Something over the lists. `model_id` and `request` are what actions are about, None for nothing."""

    @property
    def model_id(self) -> str | None:
        """The model that it is about."""
        ...

    @property
    def request(self) -> RequestRow | None:
        """The request that it is about."""
        ...

    def update(self, view: View) -> None:
        """Take what sparkd does now."""
        ...

    def scroll(self, steps: int) -> None:
        """Show lines further down, or up if `steps` is negative."""
        ...

    def draw(self, size: tuple[int, int]) -> list[Text]:
        """Its lines."""
        ...

    def close(self) -> None:
        """It is not shown again."""
        ...


class TextPanel:
    """Lines that do not change."""

    model_id: str | None = None
    request: RequestRow | None = None

    def __init__(self, lines: Sequence[Text], model_id: str | None = None) -> None:
        self.model_id = model_id
        self._lines = lines
        self._first = 0

    def update(self, view: View) -> None:
        """Nothing to do."""

    def scroll(self, steps: int) -> None:
        """Show lines further down, or up if `steps` is negative."""
        self._first = max(0, min(self._first + steps, len(self._lines) - 1))

    def draw(self, size: tuple[int, int]) -> list[Text]:
        """As many lines as fit, wrapped."""
        lines = [part for line in self._lines for part in wrap(line, size[0])]
        self._first = max(0, min(self._first, len(lines) - size[1]))
        return lines[self._first :][: size[1]]

    def close(self) -> None:
        """Nothing to do."""


class ModelPanel:
    """A model and its log."""

    request: RequestRow | None = None

    def __init__(self, socket: Path, model_id: str, wake: Callable[[], None]) -> None:
        self.model_id: str | None = model_id
        self._followed = FollowedModel(socket, model_id, wake)
        self._scrolled = 0

    def update(self, view: View) -> None:
        """Nothing to do: it follows the model itself."""

    def scroll(self, steps: int) -> None:
        """Show older lines of the log if `steps` is negative, newer ones otherwise."""
        self._scrolled = max(0, min(self._scrolled - steps, len(self._followed.log) - 1))

    def draw(self, size: tuple[int, int]) -> list[Text]:
        """What is known about the model, and as much of its log as fits."""
        width, height = size
        lines = [line for part in self._describe() for line in wrap(part, width)]
        if (model := self._followed.model) is not None:
            lines[1:1] = render_lines(render_model(model), width)
        room = max(min(3, height), height - len(lines) - 2)
        log = self._followed.log
        end = max(1, len(log) - self._scrolled)
        shown = [render_log_line(line) for line in log[max(0, end - room) : end]]
        place = f"  {self._scrolled} lines below" if self._scrolled else ""
        lines = [*lines[: max(1, height - room - 2)], Text(), Text.assemble(("LOG", HEADING), (place, DIM))]
        if not log and model is not None:
            shown = [Text("It has no log: it has not run since sparkd started.", DIM)]
        return [*lines, *shown][:height]

    def _describe(self) -> list[Text]:
        lines = [Text(clean(self._followed.model_id), HEADING)]
        if self._followed.problem:
            lines.append(Text(clean(self._followed.problem), BAD))
        model = self._followed.model
        if model is None:
            return [*lines, Text("" if self._followed.problem else "Asking sparkd …", DIM)]
        for hold in model.holds:
            who = f" by {hold.owner}" if hold.owner else ""
            why = f": {hold.reason}" if hold.reason else ""
            lines.append(Text(clean(f"held{who} for another {format_duration(hold.seconds_left)}{why}")))
        if model.forecast is not None:
            lines.append(Text(clean(describe_forecast(model.forecast))))
        return lines

    def close(self) -> None:
        """Stop to follow the model."""
        self._followed.close()


class RequestPanel:
    """One request, also after its end."""

    def __init__(self, row: RequestRow, characters: Characters) -> None:
        self._row = row
        self._characters = characters
        self._has_ended = False

    @property
    def model_id(self) -> str | None:
        """Its model."""
        return self._row.model

    @property
    def request(self) -> RequestRow | None:
        """The request, None if it has ended."""
        return None if self._has_ended else self._row

    def update(self, view: View) -> None:
        """Take what is known about the request now."""
        found = next((row for row in view.requests if row.id == self._row.id), None)
        self._has_ended = found is None
        self._row = found or self._row

    def scroll(self, steps: int) -> None:
        """Nothing to do: it is short."""

    def close(self) -> None:
        """Nothing to do."""

    def draw(self, size: tuple[int, int]) -> list[Text]:
        """What is known about it."""
        row, unknown = self._row, self._characters.unknown
        since = "" if row.phase_seconds is None else f" for {format_duration(row.phase_seconds)}"
        facts = {
            "model": row.model if row.asked in ("", row.model) else f"{row.model} (asked for {row.asked})",
            "client": row.client or unknown,
            "program": row.program or unknown,
            "endpoint": row.endpoint + (" (streamed)" if row.streamed else ""),
            "phase": "ended" if self._has_ended else f"{row.phase}{since}",
            "age": format_duration(row.seconds),
            "tokens in": unknown if row.tokens_in is None else str(row.tokens_in),
            "tokens out": unknown if row.tokens_out is None else f"about {row.tokens_out}",
            "speed": unknown if row.speed is None else f"{row.speed:.1f} tokens/s",
        }
        lines = [Text(f"Request {clean(row.id)}", HEADING), Text()]
        lines += [Text.assemble((f"{name:<12}", DIM), clean(text)) for name, text in facts.items()]
        return [part for line in lines for part in wrap(line, size[0])]
