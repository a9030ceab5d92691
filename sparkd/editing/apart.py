"""Reads a catalogue in a process of its own: thousands of models take seconds, and a thread of sparkd would slow down
all requests for that time.

The process gets a digest of each model that is known, and returns only those that differ.
"""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec
from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.catalog.client_rules import ClientRule
from sparkd.catalog.definitions import Model
from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.origins import Table
from sparkd.catalog.reading import read_with_overrides
from sparkd.catalog.runtime import Runtime
from sparkd.catalog.settings import Settings
from sparkd.engines import find_engine_problems
from sparkd.errors import CatalogueError

DEADLINE: Final = 60.0
"""Seconds to read a catalogue. Ten thousand models take two."""

PROGRAM: Final = (sys.executable, "-I", "-m", "sparkd.editing.reader")

Digests = Mapping[str, bytes]
"""Of models, by id."""


class ReadRequest(Struct, frozen=True):
    """What the process reads: see `read_with_overrides`; and what is known."""

    path: Path
    overrides: Mapping[Path, bytes | None]
    known: Digests


class ReadResult(Struct, frozen=True, kw_only=True):
    """A catalogue. `ids` are its models in order, `models` and `tables` those that are not known as they are.

    `problems` are those of an invalid catalogue, which has nothing else.
    """

    problems: list[str] = []
    ids: list[str] = []
    models: Mapping[str, Model] = {}
    tables: Mapping[str, Table] = {}
    settings: Settings | None = None
    runtimes: Mapping[str, Runtime] = {}
    families: tuple[str, ...] = ()
    choices: Mapping[str, tuple[str, ...]] = {}
    keys: Mapping[str, KeyRules] = {}
    clients: tuple[ClientRule, ...] = ()


_digests: Final[WeakKeyDictionary[Catalogue, Digests]] = WeakKeyDictionary()


async def read_apart(base: Catalogue, overrides: Mapping[Path, bytes | None] | None = None) -> Catalogue:
    """Read the catalogue of which `base` is an earlier version; see `read_with_overrides`.

    Models that have not changed are those of `base`. Cancelling this ends the process. Raises CatalogueError with
    every problem, also those that engines find.
    """
    reading = _Reading()
    try:
        return await asyncio.to_thread(_read, reading, base, overrides or {})
    except asyncio.CancelledError:
        reading.kill()
        raise


def read_apart_now(base: Catalogue, overrides: Mapping[Path, bytes | None]) -> Catalogue:
    """Do the same, and block: call it in a thread."""
    return _read(_Reading(), base, overrides)


def _read(reading: _Reading, base: Catalogue, overrides: Mapping[Path, bytes | None]) -> Catalogue:
    known = _digests.get(base)
    if known is None:
        known = _digests[base] = digest_models(base)
    result = reading.run(ReadRequest(base.path, overrides, known))
    if result.problems or result.settings is None:
        raise CatalogueError(result.problems)
    return Catalogue(
        path=base.path,
        settings=result.settings,
        models={id_: result.models.get(id_) or base.models[id_] for id_ in result.ids},
        runtimes=result.runtimes,
        tables={id_: result.tables.get(id_) or base.table_of(base.models[id_]) for id_ in result.ids},
        families=result.families,
        choices=result.choices,
        keys=result.keys,
        clients=result.clients,
    )


class _Reading:
    """One process."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._is_cancelled = False

    def kill(self) -> None:
        """End the process; `run` then raises."""
        self._is_cancelled = True
        if self._child is not None:
            self._child.kill()

    def run(self, request: ReadRequest) -> ReadResult:
        """Raises CatalogueError if the process fails or takes too long."""
        try:
            self._child = subprocess.Popen(
                PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError:  # no memory for another process
            return read_result(request)
        with self._child as child:
            if self._is_cancelled:
                child.kill()
            try:
                output, errors = child.communicate(pickle.dumps(request), DEADLINE)
            except subprocess.TimeoutExpired:
                child.kill()
                raise CatalogueError([f"{request.path}: reading it took {DEADLINE:.0f} seconds"]) from None
        if child.returncode:
            lines = errors.decode(errors="replace").strip().splitlines() or [f"exit {child.returncode}"]
            raise CatalogueError([f"{request.path}: cannot be read: {lines[-1]}"])
        result = pickle.loads(output)  # noqa: S301 - this program's own output
        if not isinstance(result, ReadResult):
            raise TypeError
        return result


def read_result(request: ReadRequest) -> ReadResult:
    """Read the catalogue here."""
    try:
        read = read_with_overrides(request.path, request.overrides)
    except CatalogueError as error:
        return ReadResult(problems=error.problems)
    if problems := find_engine_problems(read):
        return ReadResult(problems=problems)
    found = digest_models(read)
    changed = [model for id_, model in read.models.items() if request.known.get(id_) != found[id_]]
    return ReadResult(
        ids=list(read.models),
        models={model.id: model for model in changed},
        tables={model.id: read.table_of(model) for model in changed},
        settings=read.settings,
        runtimes=dict(read.runtimes),
        families=read.families,
        choices={name: tuple(names) for name, names in read.declared_choices.items()},
        keys=dict(read.keys),
        clients=read.clients,
    )


def digest_models(catalogue: Catalogue) -> Digests:
    """A digest of each model, and of where its keys are set. Models with the same one are equal."""
    return {id_: _digest(model, catalogue.table_of(model)) for id_, model in catalogue.models.items()}


def _digest(model: Model, table: Table) -> bytes:
    values: Any = msgspec.msgpack.encode(model, order="deterministic", enc_hook=repr)
    return blake2b(values + repr(table).encode("utf-8", "surrogatepass"), digest_size=16).digest()
