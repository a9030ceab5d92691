"""Edits the catalogue of a running daemon: checks, shows what a reload would do, writes and reloads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from sparkd.catalog import Catalogue
from sparkd.catalog.reading.documents import DROP_IN_FOLDER
from sparkd.control.catalogue_types import CheckResult, Plan, Written
from sparkd.control.interfaces import Reloader, SupervisorInterface
from sparkd.editing.apart import read_apart, read_apart_now
from sparkd.editing.diffs import make_diff
from sparkd.editing.edits import Edit
from sparkd.editing.files import digest_of, drop_in_path, find_obstacle, read_bytes
from sparkd.editing.notes import find_notes
from sparkd.editing.overlay import check_size, locate
from sparkd.editing.problems import Problem
from sparkd.editing.store import LocalStore, Store
from sparkd.editing.writer import SOCKET, WriterStore
from sparkd.errors import CatalogueError, InvalidRequest
from sparkd.scheduling.status import Reload


class InvalidEdit(Exception):
    """The catalogue would be invalid. Nothing has changed."""

    def __init__(self, error: CatalogueError, problems: list[Problem]) -> None:
        super().__init__(error.message)
        self.error = error
        self.problems = problems


class CatalogueEditor:
    """Edits the drop-ins of one daemon's catalogue, one at a time."""

    def __init__(
        self,
        supervisor: SupervisorInterface,
        reloader: Reloader,
        store: Callable[[Path], Store] | None = None,
    ) -> None:
        self._supervisor = supervisor
        self._reloader = reloader
        self._find_store = store or self._find_default_store
        self._lock = asyncio.Lock()

    @property
    def path(self) -> Path:
        """The catalogue's main file."""
        return self._supervisor.catalogue.path

    async def check(self, name: str, data: bytes | None) -> CheckResult:
        """Check a text for a drop-in; None: its deletion. Writes nothing. Raises InvalidRequest."""
        file = drop_in_path(self.path, name)
        before = await asyncio.to_thread(_read_or_none, file, self.path)
        diff = await asyncio.to_thread(make_diff, name, before, data)
        current = None if before is None else digest_of(before)
        try:
            new, plan = await self._plan(file, data)
        except InvalidEdit as invalid:
            return CheckResult(
                file=name, problems=invalid.problems, notes=[], plan=None, diff=diff, current=current
            )
        notes = await asyncio.to_thread(lambda: list(find_notes(new)))
        return CheckResult(file=name, problems=[], notes=notes, plan=plan, diff=diff, current=current)

    async def write(self, name: str, data: bytes | None, digest: str | None) -> Written:
        """Write a drop-in, or delete it, and reload. Raises InvalidEdit, and the errors of `Store.write`.

        If the reload fails, the file is as before.
        """
        file = drop_in_path(self.path, name)
        async with self._lock:
            store = self._find_store(self.path)
            try:
                edit = await asyncio.to_thread(store.write, name, data, digest)
            except CatalogueError as error:
                raise InvalidEdit(error, await asyncio.to_thread(self._locate, error, file, data)) from error
            return await self._reload(store, edit, is_toggled=False)

    async def undo(self, number: int | None) -> Written:
        """Undo an edit, or make it again if it was undone, and reload. Raises the errors of `Store.toggle`."""
        async with self._lock:
            store = self._find_store(self.path)
            try:
                edit = await asyncio.to_thread(store.toggle, number)
            except CatalogueError as error:
                raise InvalidEdit(error, await asyncio.to_thread(self._locate, error, None, None)) from error
            return await self._reload(store, edit, is_toggled=True)

    async def _reload(self, store: Store, edit: Edit, *, is_toggled: bool) -> Written:
        """Reload after an edit. It continues if the client disconnects: a file is never left without its reload."""
        return await asyncio.shield(self._reload_or_take_back(store, edit, is_toggled=is_toggled))

    async def _reload_or_take_back(self, store: Store, edit: Edit, *, is_toggled: bool) -> Written:
        try:
            change = await self._reloader.reload()
        except CatalogueError as error:
            file = drop_in_path(self.path, edit.file)
            problems = await asyncio.to_thread(self._locate, error, file, edit.current)
            await asyncio.to_thread(lambda: store.take_back(edit.id, is_toggled=is_toggled))
            raise InvalidEdit(error, problems) from error
        digest = None if edit.current is None else digest_of(edit.current)
        return Written(edit=edit.id, file=edit.file, digest=digest, change=change)

    async def _plan(self, file: Path, data: bytes | None) -> tuple[Catalogue, Plan]:
        """The catalogue with that text, and what a reload would do. Raises InvalidEdit."""
        try:
            check_size(data)
            new = await read_apart(self._supervisor.catalogue, {file: data})
            change = await self._reloader.preview(new)
        except CatalogueError as error:
            raise InvalidEdit(error, await asyncio.to_thread(self._locate, error, file, data)) from error
        return new, self._describe(change)

    def _find_default_store(self, path: Path) -> Store:
        """What may write the drop-ins: this process, or the writer that systemd starts for it."""
        folder = path.parent / DROP_IN_FOLDER
        if os.access(folder if folder.exists() else path.parent, os.W_OK) or not SOCKET.exists():
            return LocalStore(path, self._validate)
        return WriterStore()

    def _validate(self, file: Path, data: bytes | None) -> None:
        check_size(data)
        read_apart_now(self._supervisor.catalogue, {file: data})

    def _locate(self, error: CatalogueError, file: Path | None, data: bytes | None) -> list[Problem]:
        return locate(self.path, error, file or self.path, data if file else read_bytes(self.path))

    def _describe(self, change: Reload) -> Plan:
        gone = [self._supervisor.catalogue.models.get(id_) for id_ in {*change.removed, *change.restarted}]
        stopped = tuple(
            sorted(model.id for model in gone if model and self._supervisor.residency(model) != "unloaded")
        )
        text = change.describe()
        if stopped:
            text += f"; {', '.join(stopped)} will finish {'its' if len(stopped) == 1 else 'their'} responses and stop"
        return Plan(change=change, stopped=stopped, text=text)


def _read_or_none(file: Path, catalogue: Path) -> bytes | None:
    if not os.path.lexists(file):
        return None
    if obstacle := find_obstacle(file, catalogue):
        raise InvalidRequest(f"{file} cannot be edited. {obstacle}", param="file")
    return read_bytes(file)
