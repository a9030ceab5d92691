"""What is guessed, each value with where it is from; and what the caller has said, which is never guessed over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from sparkd.catalog.definitions import Model

SAID = "as given"


class Guess(Struct, frozen=True):
    """A key of `[models.<id>]`, its value, and what that was taken from. A dot leads into a table of the model."""

    key: str
    value: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller has said; None and False: nothing. Sizes are bytes, `context` is tokens."""

    id: str | None = None
    runtime: str | None = None
    context: int | None = None
    memory: int | None = None
    family: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False


@dataclass(slots=True)
class Guessed:
    """An entry of the catalogue in the making. `warnings` may keep it from working, `notes` are worth
    knowing. `untrusted`: it brings code of its own that would have to run, and nobody has said that it may."""

    id: str = ""
    guesses: list[Guess] = field(default_factory=list)
    arithmetic: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    untrusted: str = ""

    def add(self, key: str, value: object, reason: str) -> None:
        """Guess one more key."""
        self.guesses.append(Guess(key, value, reason))

    def value(self, key: str) -> Any:
        """What was guessed for a key, None where nothing was."""
        return next((guess.value for guess in self.guesses if guess.key == key), None)

    def table(self) -> dict[str, Any]:
        """The model's table, for a drop-in: keys in the order of the catalogue's, tables last."""
        whole: dict[str, Any] = {}
        order = Model.__struct_fields__.index
        for guess in sorted(self.guesses, key=lambda guess: order(guess.key.partition(".")[0])):
            inner = whole
            *tables, key = guess.key.split(".")
            for name in tables:
                inner = inner.setdefault(name, {})
            inner[key] = guess.value
        return whole
