"""The writer's side of usage.sqlite: opened again if the file is deleted, replaced or damaged. For one thread."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from sparkd.storage.database import is_damage, is_lock, open_database, rename_to_backup
from sparkd.usage.batch import Batch, write_batch
from sparkd.usage.pruning import Limits, delete_some
from sparkd.usage.session import Session
from sparkd.usage.tables import SCHEMA

LOCK_TIMEOUT: Final = 0.25
"""Seconds to wait for another program that has locked the file. Meanwhile a stop of sparkd has to wait."""

FREE_PAGES: Final = 50
"""Pages that one step returns to the file system after rows were deleted."""


UNSTORABLE: Final = (OverflowError, ValueError, sqlite3.IntegrityError)
"""Errors of values that cannot be stored: integers of more than 64 bits, halves of surrogate pairs, NaN."""


class UsageDatabase:
    """One file. Every method raises OSError or sqlite3.Error if the file cannot be used now; then nothing of its work
    is done, and it can be called again."""

    def __init__(self, path: Path, session: Session) -> None:
        self._path = path
        self._session = session
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._log_identities: dict[Path, tuple[int, int] | None] = {}
        self.notices: list[str] = []
        """Sentences about files that were replaced, for the log."""

    def write(self, batch: Batch) -> None:
        """Write a batch, up to its commit; `commit` must follow. Raises UNSTORABLE if it has a value that SQLite does
        not know."""
        connection = self._open()
        try:
            connection.execute("BEGIN IMMEDIATE")
            write_batch(connection, batch)
            self._write_session(connection)
        except (sqlite3.Error, *UNSTORABLE) as error:
            self._recover(error)
            raise

    def commit(self) -> None:
        """Commit what `write` has written."""
        try:
            self._open_connection().execute("COMMIT")
        except sqlite3.Error as error:
            self._recover(error)
            raise

    def delete_some(self, limits: Limits) -> bool:
        """Delete some old records; return whether more may be left."""
        connection = self._open()
        try:
            connection.execute("BEGIN IMMEDIATE")
            is_more_left = delete_some(connection, limits, time.time())
            connection.execute("COMMIT")
            connection.execute(f"PRAGMA incremental_vacuum({FREE_PAGES})").fetchall()
        except sqlite3.Error as error:
            self._recover(error)
            raise
        return is_more_left

    def verify(self) -> None:
        """Check the whole file, because reading it has failed. A damaged one is replaced."""
        self.close()
        self._open()

    def close(self) -> None:
        """Close the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _open(self) -> sqlite3.Connection:
        """The connection to the file at the path, which may be another one than before."""
        if self._connection is not None and self._identity != _identify(self._path):
            self.notices.append(f"{self._path} was deleted or replaced, so it is opened again.")
            self._abandon()
        if self._connection is None:
            opened = open_database(self._path, SCHEMA, synchronous="NORMAL", timeout=LOCK_TIMEOUT)
            if opened.backup is not None:
                self._report_backup(opened.problem, opened.backup)
            self._connection, self._identity = opened.connection, _identify(self._path)
            self._log_identities = {log: _identify(log) for log in self._logs()}
        return self._connection

    def _abandon(self) -> None:
        """Close a file that is no longer at the path, and delete its log there: it would be applied to the new file."""
        self.close()
        for log, identity in self._log_identities.items():
            if identity is not None and identity == _identify(log):
                log.unlink(missing_ok=True)

    def _logs(self) -> list[Path]:
        """The files that SQLite has beside an open one."""
        return [self._path.with_name(f"{self._path.name}-{suffix}") for suffix in ("wal", "shm")]

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.OperationalError("the file is closed")
        return self._connection

    def _report_backup(self, problem: str, backup: Path) -> None:
        self.notices.append(
            f"Cannot read {self._path}: {problem}. sparkd starts a new history of requests and models; the old file is "
            f"kept as {backup}."
        )

    def _write_session(self, connection: sqlite3.Connection) -> None:
        """Record that this program is alive, also in a file that does not know it yet."""
        session = self._session
        kept = None if session.kept is None else msgspec.json.encode(sorted(session.kept)).decode()
        connection.execute(
            "INSERT INTO sessions (began, seen, version, kept) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET seen = excluded.seen, kept = excluded.kept",
            (session.began, time.time(), session.version, kept),
        )
        connection.execute("UPDATE sessions SET ended = ? WHERE began = ?", (session.ended, session.began))

    def _recover(self, error: Exception) -> None:
        """Undo the transaction. A damaged file is renamed, so that the next attempt begins a new one."""
        connection = self._connection
        if connection is not None and connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.rollback()
        if isinstance(error, UNSTORABLE) or not isinstance(error, sqlite3.Error):
            return  # the file is as before
        if is_damage(error):
            self.close()
            with suppress(OSError):
                self._report_backup(str(error), rename_to_backup(self._path))
        elif not is_lock(error):
            self.close()  # its state is unknown, and the file may be readable or writable again later


def _identify(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
