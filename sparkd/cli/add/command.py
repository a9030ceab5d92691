"""`sparkctl add SOURCE`: add a model as a drop-in, with everything that can be derived from its files."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.catalog.messages import format_value
from sparkd.catalog.names import NAME_RULE, is_id
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.drop_ins import drop_in_file, try_drop_in, write_drop_in
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.cli import exit_codes
from sparkd.cli.add.display import (
    describe_conflict,
    list_next_commands,
    render_guesses,
    warn_about_hidden_folder,
)
from sparkd.cli.add.source import SourceFacts, describe_machine, inspect_source
from sparkd.cli.output.messages import ask_confirmation, print_json, print_line
from sparkd.cli.output.terminal import stdout_console
from sparkd.engines import find_engine_problems
from sparkd.errors import CatalogueError, InvalidRequest, ModelNotAdded
from sparkd.guessing import AddOptions, Guess, GuessedEntry, guess_model

TUNING_OPTIONS = ("enforce-eager", "max-num-seqs")
"""Options that no other guess depends on: if a runtime or a family sets them, its value is kept."""


class AddResult(Struct, frozen=True, kw_only=True):
    """What `sparkctl add --json` prints. `written` is false with `--dry-run`; `next` are the commands to run next."""

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
    """Read the model's files, guess an entry, check it in the catalogue, show it, ask for confirmation, write it."""
    catalogue = read_catalogue(catalogue_path(arguments.catalogue))
    options = _read_options(arguments)
    found = inspect_source(arguments.source, options, catalogue)
    entry = _NewModel(catalogue, found, guess_model(found.facts, describe_machine(catalogue), options))
    entry.require_unused_id()
    entry.drop_inherited_options()
    text = entry.validate()
    if not arguments.json:
        stdout_console().print(render_guesses(entry.guessed, found.origin))
    if not arguments.dry_run:
        _confirm(entry, arguments)
        text = entry.validate()
        entry.write()
    _report(entry, text, arguments)
    return exit_codes.SUCCESS


def _read_options(arguments: argparse.Namespace) -> AddOptions:
    if arguments.id is not None and not is_id(arguments.id):
        raise ModelNotAdded(f'--id "{arguments.id}": expected {NAME_RULE}')
    return AddOptions(
        id=arguments.id,
        runtime=arguments.runtime,
        context=arguments.context,
        memory=arguments.memory,
        family=arguments.family,
        revision=arguments.revision,
        trust_remote_code=arguments.trust_remote_code,
    )


@dataclass(frozen=True, slots=True)
class _NewModel:
    """A new catalogue entry."""

    catalogue: Catalogue
    found: SourceFacts
    guessed: GuessedEntry

    @property
    def file(self) -> Path:
        """The drop-in."""
        return drop_in_file(self.catalogue.path, self.guessed.id)

    def require_unused_id(self) -> None:
        """Raise ModelNotAdded if the id, or its drop-in, already exists."""
        if self.file.exists():
            raise self._build_conflict_error(self.catalogue)
        for model in self.catalogue.models.values():
            if self.guessed.id in (model.id, *model.aliases, *model.rewriting.presets):
                what = "the id" if self.guessed.id == model.id else "an alias"
                raise ModelNotAdded(
                    f'"{self.guessed.id}" is {what} of a model in {self.catalogue.locate_key(model)[0]} (its source is '
                    f"{model.source}): choose another id with --id"
                )
            if model.source == self.found.facts.source:
                self.guessed.notes.append(f"{model.id} already has this source")
        self.guessed.notes += warn_about_hidden_folder(self.found.facts.source)

    def drop_inherited_options(self) -> None:
        """Remove options that the model's runtime or family sets. Raises CatalogueError."""
        base_keys = ("runtime", "source", "family")
        base_values = {guess.key: guess.value for guess in self.guessed.guesses if guess.key in base_keys}
        table = {"models": {self.guessed.id: base_values}}
        catalogue, _ = try_drop_in(self.catalogue.path, self.guessed.id, table)
        inherited_options = catalogue.models[self.guessed.id].options
        inherited = []
        for guess in [guess for guess in self.guessed.guesses if guess.key.startswith("options.")]:
            name = guess.key.removeprefix("options.")
            if inherited_options.get(name) == guess.value or (
                name in inherited_options and name in TUNING_OPTIONS
            ):
                self.guessed.guesses.remove(guess)
                inherited.append(f"{name} = {format_value(inherited_options[name])}")
        if inherited:
            self.guessed.notes.append(f"set by its runtime or family: {', '.join(inherited)}")

    def validate(self) -> str:
        """The drop-in's text, after the whole catalogue was checked with it. Raises CatalogueError."""
        catalogue, text = try_drop_in(self.catalogue.path, self.guessed.id, self._table())
        if problems := find_engine_problems(catalogue):
            raise CatalogueError(problems)
        return text

    def write(self) -> None:
        """Write the drop-in. Raises ModelNotAdded."""
        try:
            write_drop_in(self.catalogue.path, self.guessed.id, self._table(), replace=False)
        except FileExistsError as error:  # another process has just added it
            raise self._build_conflict_error(read_catalogue(self.catalogue.path)) from error
        except PermissionError as error:
            raise ModelNotAdded(
                f"cannot write {self.file}: permission denied. Try again with sudo"
            ) from error
        except OSError as error:
            raise ModelNotAdded(f"cannot write {self.file}: {error.strerror}") from error

    def _table(self) -> dict[str, Any]:
        return {"models": {self.guessed.id: self.guessed.table()}}

    def _build_conflict_error(self, catalogue: Catalogue) -> ModelNotAdded:
        defined = [
            model.id for model in catalogue.models.values() if catalogue.locate_key(model)[0] == self.file
        ]
        return ModelNotAdded(describe_conflict(self.file, defined))


def _confirm(entry: _NewModel, arguments: argparse.Namespace) -> None:
    """Ask on a terminal. `--yes` answers all questions except about code from the repository. Raises ModelNotAdded."""
    guessed = entry.guessed
    is_interactive = sys.stdin.isatty() and not arguments.json
    if guessed.untrusted:
        if not (
            is_interactive and ask_confirmation(f"\n{guessed.untrusted}. Allow it to run on this machine?")
        ):
            raise ModelNotAdded(
                f"{guessed.untrusted}. Review it, and if you trust it, add --trust-remote-code"
            )
        guessed.add("options.trust-remote-code", True, "confirmed on the terminal")
        guessed.untrusted = ""
    if arguments.yes:
        return
    if not is_interactive:
        raise InvalidRequest(
            "cannot ask for confirmation without a terminal; --yes writes the entry, --dry-run only prints it"
        )
    if not ask_confirmation(f"\nWrite {entry.file}?", default=True):
        raise ModelNotAdded("nothing was written")


def _report(entry: _NewModel, text: str, arguments: argparse.Namespace) -> None:
    guessed, written = entry.guessed, not arguments.dry_run
    next_steps = list_next_commands(guessed, on_disk=entry.found.on_disk)
    if arguments.json:
        untrusted = [guessed.untrusted] if guessed.untrusted else []
        print_json(
            AddResult(
                id=guessed.id,
                file=entry.file,
                written=written,
                origin=entry.found.origin,
                guesses=guessed.guesses,
                arithmetic=guessed.arithmetic,
                notes=guessed.notes,
                warnings=[*guessed.warnings, *untrusted],
                drop_in=text,
                next=next_steps,
            )
        )
    elif written:
        print_line(f"\nWrote {entry.file}. Next: {', '.join(f'`{step}`' for step in next_steps)}.")
    else:
        print_line(f"\n{entry.file} would be:\n\n{text.rstrip()}")
