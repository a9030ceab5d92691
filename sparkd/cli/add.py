"""`sparkctl add SOURCE`: a model of one's own, as a drop-in with everything that its files let guess."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.catalog.names import NAME_RULE, is_id
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.drop_ins import drop_in_file, try_drop_in, write_drop_in
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.catalog.wording import shown
from sparkd.cli import exits
from sparkd.cli.add_source import Found, look_at, this_machine
from sparkd.cli.add_wording import hidden, next_commands, overview, taken
from sparkd.cli.output import confirmed, say, say_json
from sparkd.cli.terminal import out
from sparkd.engines import engine_problems
from sparkd.errors import CatalogueError, InvalidRequest, ModelNotAdded
from sparkd.guessing import Guess, Guessed, Wishes, guess_model

MATTERS_OF_TASTE = ("enforce-eager", "max-num-seqs")
"""Options that nothing else guessed depends on: what a runtime or a family says of them stands."""


class Added(Struct, frozen=True, kw_only=True):
    """What `sparkctl add --json` prints. `written` is false with `--dry-run`; `next` are the commands that follow."""

    id: str
    file: Path
    written: bool
    origin: str
    guesses: list[Guess]
    arithmetic: list[str]
    notes: list[str]
    warnings: list[str]
    drop_in: str
    next: list[str]


def run(arguments: argparse.Namespace) -> int:
    """Look, guess, try the result in the catalogue, show it, ask, write it."""
    catalogue = read_catalogue(catalogue_path(arguments.catalogue))
    wishes = _wishes(arguments)
    found = look_at(arguments.source, wishes, catalogue)
    entry = _Entry(catalogue, found, guess_model(found.facts, this_machine(catalogue), wishes))
    entry.check_free()
    entry.leave_to_defaults()
    text = entry.tried()
    if not arguments.json:
        out().print(overview(entry.guessed, found.origin))
    if not arguments.dry_run:
        _ask(entry, arguments)
        text = entry.tried()
        entry.write()
    _tell(entry, text, arguments)
    return exits.DONE


def _wishes(arguments: argparse.Namespace) -> Wishes:
    if arguments.id is not None and not is_id(arguments.id):
        raise ModelNotAdded(f'--id "{arguments.id}": expected {NAME_RULE}')
    return Wishes(
        id=arguments.id,
        runtime=arguments.runtime,
        context=arguments.context,
        memory=arguments.memory,
        family=arguments.family,
        revision=arguments.revision,
        trust_remote_code=arguments.trust_remote_code,
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    """A model on its way into the catalogue."""

    catalogue: Catalogue
    found: Found
    guessed: Guessed

    @property
    def file(self) -> Path:
        """The drop-in."""
        return drop_in_file(self.catalogue.path, self.guessed.id)

    def check_free(self) -> None:
        """Raise ModelNotAdded where the id, or its drop-in, is taken."""
        if self.file.exists():
            raise self._taken(self.catalogue)
        for model in self.catalogue.models.values():
            if self.guessed.id in (model.id, *model.aliases, *model.rewriting.presets):
                what = "the id" if self.guessed.id == model.id else "an alias"
                raise ModelNotAdded(
                    f'"{self.guessed.id}" is {what} of a model in {self.catalogue.place(model)[0]} (its source is '
                    f"{model.source}): give another with --id"
                )
            if model.source == self.found.facts.source:
                self.guessed.notes.append(f"{model.id} has the same source already")
        self.guessed.notes += hidden(self.found.facts.source)

    def leave_to_defaults(self) -> None:
        """Take out what the model's runtime or family says: it was not guessed. Raises CatalogueError."""
        known = ("runtime", "source", "family")
        plain = {guess.key: guess.value for guess in self.guessed.guesses if guess.key in known}
        table = {"models": {self.guessed.id: plain}}
        after, _ = try_drop_in(self.catalogue.path, self.guessed.id, table)
        options = after.models[self.guessed.id].options
        said = []
        for guess in [guess for guess in self.guessed.guesses if guess.key.startswith("options.")]:
            name = guess.key.removeprefix("options.")
            if options.get(name) == guess.value or (name in options and name in MATTERS_OF_TASTE):
                self.guessed.guesses.remove(guess)
                said.append(f"{name} = {shown(options[name])}")
        if said:
            self.guessed.notes.append(f"left to its runtime or family: {', '.join(said)}")

    def tried(self) -> str:
        """The drop-in's text, once the whole catalogue has been read with it. Raises CatalogueError."""
        after, text = try_drop_in(self.catalogue.path, self.guessed.id, self._table())
        if problems := engine_problems(after):
            raise CatalogueError(problems)
        return text

    def write(self) -> None:
        """Put the drop-in in its place. Raises ModelNotAdded."""
        try:
            write_drop_in(self.catalogue.path, self.guessed.id, self._table(), replace=False)
        except FileExistsError as error:  # somebody else has just added it
            raise self._taken(read_catalogue(self.catalogue.path)) from error
        except PermissionError as error:
            raise ModelNotAdded(f"{self.file} may not be written by this user: try it with sudo") from error
        except OSError as error:
            raise ModelNotAdded(f"{self.file} cannot be written: {error.strerror}") from error

    def _table(self) -> dict[str, Any]:
        return {"models": {self.guessed.id: self.guessed.table()}}

    def _taken(self, catalogue: Catalogue) -> ModelNotAdded:
        defined = [model.id for model in catalogue.models.values() if catalogue.place(model)[0] == self.file]
        return ModelNotAdded(taken(self.file, defined))


def _ask(entry: _Entry, arguments: argparse.Namespace) -> None:
    """Ask on a terminal; `--yes` answers everything but whether foreign code may run. Raises ModelNotAdded."""
    guessed = entry.guessed
    asking = sys.stdin.isatty() and not arguments.json
    if guessed.untrusted:
        if not (asking and confirmed(f"\n{guessed.untrusted}. May it run on this machine?")):
            raise ModelNotAdded(f"{guessed.untrusted}: read it, and if you trust it add --trust-remote-code")
        guessed.add("options.trust-remote-code", True, "as said when asked")
        guessed.untrusted = ""
    if arguments.yes:
        return
    if not asking:
        raise InvalidRequest(
            "nothing is written, as there is nobody to ask: --yes writes it, --dry-run only shows it"
        )
    if not confirmed(f"\nWrite {entry.file}?", default=True):
        raise ModelNotAdded("nothing was written")


def _tell(entry: _Entry, text: str, arguments: argparse.Namespace) -> None:
    guessed, written = entry.guessed, not arguments.dry_run
    steps = next_commands(guessed, on_disk=entry.found.on_disk)
    if arguments.json:
        untrusted = [guessed.untrusted] if guessed.untrusted else []
        say_json(
            Added(
                id=guessed.id,
                file=entry.file,
                written=written,
                origin=entry.found.origin,
                guesses=guessed.guesses,
                arithmetic=guessed.arithmetic,
                notes=guessed.notes,
                warnings=[*guessed.warnings, *untrusted],
                drop_in=text,
                next=steps,
            )
        )
    elif written:
        say(f"\n{entry.file} is written. Next: {', '.join(f'`{step}`' for step in steps)}.")
    else:
        say(f"\n{entry.file} would be:\n\n{text.rstrip()}")
