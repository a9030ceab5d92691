"""Where `sparkctl edit` works: with the running daemon, or with the files if none runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.documents import DROP_IN_FOLDER
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.control.catalogue_types import CatalogueOverview, CheckResult, FileText, Written
from sparkd.control.client import ControlClient, find_socket
from sparkd.editing.diffs import make_diff
from sparkd.editing.edits import Edit, Journal, summarize
from sparkd.editing.files import digest_of, drop_in_path, find_file, find_obstacle, list_files, read_bytes
from sparkd.editing.notes import find_notes
from sparkd.editing.overlay import locate, read_with_change
from sparkd.editing.starts import Start, start_override
from sparkd.editing.store import LocalStore
from sparkd.errors import (
    CatalogueError,
    CatalogueNotWritable,
    ControlForbidden,
    DaemonError,
    DaemonUnreachable,
)


class Desk(Protocol):
    """The methods of ControlClient about files, with or without a daemon."""

    def catalogue(self) -> CatalogueOverview:
        """The files and the last edits."""
        ...

    def catalogue_file(self, file: str) -> FileText:
        """A file's text and its digest."""
        ...

    def override_start(self, model: str) -> Start:
        """A text that overrides a model."""
        ...

    def check_file(self, file: str, text: str | None) -> CheckResult:
        """Check a text."""
        ...

    def write_file(self, file: str, text: str, digest: str | None) -> Written:
        """Write a drop-in."""
        ...

    def delete_file(self, file: str, digest: str) -> Written:
        """Delete a drop-in."""
        ...

    def undo_edit(self, number: int | None) -> Written:
        """Undo an edit."""
        ...


@contextmanager
def open_desk(socket: str | None, catalogue: str | None) -> Iterator[Desk]:
    """The daemon, or the files if no daemon runs. Raises ControlForbidden if the daemon belongs to another user."""
    try:
        with ControlClient(find_socket(socket, catalogue)) as client:
            path = Path(client.catalogue().path)
            yield _PrivilegedDesk(client, path)
            return
    except ControlForbidden:
        raise
    except DaemonUnreachable:
        if socket is not None:
            raise
    yield LocalDesk(catalogue_path(catalogue))


class LocalDesk:
    """Edits the files without a daemon: it reads them when it starts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._store = LocalStore(path)

    def catalogue(self) -> CatalogueOverview:
        """See Desk."""
        folder, files = self._path.parent / DROP_IN_FOLDER, list_files(self._path)
        digests = {file.name: file.digest for file in files}
        return CatalogueOverview(
            path=str(self._path),
            folder=str(folder),
            may_edit=os.access(folder if folder.exists() else folder.parent, os.W_OK),
            files=files,
            edits=[summarize(edit, digests.get(edit.file)) for edit in Journal(folder).all()],
        )

    def catalogue_file(self, file: str) -> FileText:
        """See Desk."""
        path = find_file(self._path, file)
        data, obstacle = read_bytes(path), find_obstacle(path, self._path)
        return FileText(
            name=file,
            text=data.decode("utf-8", errors="replace"),
            digest=digest_of(data),
            editable=not obstacle,
            reason=obstacle,
            masked=False,
        )

    def override_start(self, model: str) -> Start:
        """See Desk."""
        catalogue = read_catalogue(self._path)
        return start_override(catalogue, catalogue.find_including_disabled(model))

    def check_file(self, file: str, text: str | None) -> CheckResult:
        """See Desk."""
        path, data = drop_in_path(self._path, file), None if text is None else text.encode()
        before = path.read_bytes() if path.exists() else None
        try:
            new = read_with_change(self._path, path, data)
            problems, notes = [], list(find_notes(new))
        except CatalogueError as error:
            problems, notes = locate(self._path, error, path, data), []
        return CheckResult(
            file=file,
            problems=problems,
            notes=notes,
            plan=None,
            diff=make_diff(file, before, data),
            current=None if before is None else digest_of(before),
        )

    def write_file(self, file: str, text: str, digest: str | None) -> Written:
        """See Desk."""
        return _describe(self._store.write(file, text.encode(), digest))

    def delete_file(self, file: str, digest: str) -> Written:
        """See Desk."""
        return _describe(self._store.write(file, None, digest))

    def undo_edit(self, number: int | None) -> Written:
        """See Desk."""
        return _describe(self._store.toggle(number))

    def take_back(self, edit: int, *, is_toggled: bool) -> None:
        """Restore what was before an edit, because the daemon did not take it."""
        self._store.take_back(edit, is_toggled=is_toggled)


class _PrivilegedDesk:
    """The daemon; but if it may not write the files and this user may, this process writes and the daemon reloads."""

    def __init__(self, client: ControlClient, path: Path) -> None:
        self._client = client
        self._local = LocalDesk(path)
        self.catalogue = client.catalogue
        self.catalogue_file = client.catalogue_file
        self.override_start = client.override_start
        self.check_file = client.check_file

    def write_file(self, file: str, text: str, digest: str | None) -> Written:
        """See Desk."""
        try:
            return self._client.write_file(file, text, digest)
        except DaemonError as error:
            _require_not_writable(error)
        return self._reload(self._local.write_file(file, text, digest), is_toggled=False)

    def delete_file(self, file: str, digest: str) -> Written:
        """See Desk."""
        try:
            return self._client.delete_file(file, digest)
        except DaemonError as error:
            _require_not_writable(error)
        return self._reload(self._local.delete_file(file, digest), is_toggled=False)

    def undo_edit(self, number: int | None) -> Written:
        """See Desk."""
        try:
            return self._client.undo_edit(number)
        except DaemonError as error:
            _require_not_writable(error)
        return self._reload(self._local.undo_edit(number), is_toggled=True)

    def _reload(self, written: Written, *, is_toggled: bool) -> Written:
        try:
            change = self._client.reload()
        except DaemonError:
            self._local.take_back(written.edit, is_toggled=is_toggled)
            raise
        return Written(edit=written.edit, file=written.file, digest=written.digest, change=change)


def _require_not_writable(error: DaemonError) -> None:
    """Raise the error again, unless the daemon may not write the files."""
    if error.code != CatalogueNotWritable.code:
        raise error


def _describe(edit: Edit) -> Written:
    digest = None if edit.current is None else digest_of(edit.current)
    return Written(edit=edit.id, file=edit.file, digest=digest, change=None)
