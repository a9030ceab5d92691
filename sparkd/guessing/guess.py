"""Guesses, each with its reason, and the options of the caller, which guesses never override."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from sparkd.catalog.definitions import Model

AS_GIVEN = "as given"


class Guess(Struct, frozen=True):
    """A key of `[models.<id>]`, its value, and the reason for it. A dot separates a table from its key."""

    key: str
    value: Any
    reason: str


@dataclass(frozen=True, slots=True)
class AddOptions:
    """The options of the caller; None and False: not set. Sizes are bytes, `context` is tokens."""

    id: str | None = None
    runtime: str | None = None
    context: int | None = None
    memory: int | None = None
    family: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False


@dataclass(slots=True)
class GuessedEntry:
    """A guessed entry of the catalogue. `warnings` are problems that may prevent it from working, `notes` are
    information. `untrusted`: the model needs code from its repository, and nobody has allowed that code to run."""

    id: str = ""
    guesses: list[Guess] = field(default_factory=list)
    arithmetic: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    untrusted: str = ""

    def add(self, key: str, value: object, reason: str) -> None:
        """Add the guess for a key."""
        self.guesses.append(Guess(key, value, reason))

    def value(self, key: str) -> Any:
        """The guess for a key, None if there is none."""
        return next((guess.value for guess in self.guesses if guess.key == key), None)

    def table(self) -> dict[str, Any]:
        """The model's table, for a drop-in: keys in the order of the catalogue, tables last."""
        whole: dict[str, Any] = {}
        order = Model.__struct_fields__.index
        for guess in sorted(self.guesses, key=lambda guess: order(guess.key.partition(".")[0])):
            inner = whole
            *tables, key = guess.key.split(".")
            for name in tables:
                inner = inner.setdefault(name, {})
            inner[key] = guess.value
        return whole
