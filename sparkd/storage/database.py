"""Opens SQLite files: creates or upgrades their tables, checks them, and keeps a damaged file aside."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct, field

BUSY_TIMEOUT: Final = 1.0
"""Seconds to wait for another program that has locked the file."""

DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""Primary result codes of a file that is not a valid database."""


class Schema(Struct, frozen=True, kw_only=True):
    """The tables of a file.

    `version` is in SQLite's user_version. `create` is the script that makes the tables of that version. `upgrades` has
    the script from each earlier version to the next one. `additions` is run on each file of this version, so each of
    its statements must be one that can be repeated (`IF NOT EXISTS`).
    """

    version: int
    create: str
    upgrades: Mapping[int, str] = field(default_factory=dict)
    additions: str = ""


class UnusableDatabase(sqlite3.DatabaseError):
    """The file is damaged, or its tables have a version without an upgrade."""


class OpenedDatabase(Struct, frozen=True):
    """A connection; and, if the file that was there could not be read, why, and where it is kept."""

    connection: sqlite3.Connection
    problem: str = ""
    backup: Path | None = None


def open_database(
    path: Path,
    schema: Schema,
    *,
    synchronous: Literal["FULL", "NORMAL"],
    timeout: float = BUSY_TIMEOUT,
    check: bool = True,
) -> OpenedDatabase:
    """Open the file, or create it. A file that cannot be used is renamed, and an empty one takes its place.

    `synchronous`: FULL has every transaction on the disk when it returns, NORMAL survives a crash of the program, but
    perhaps not of the machine. `check` reads the whole file. The connection has no open transaction, and may be used by
    one thread at a time. Raises OSError or sqlite3.Error if no file can be opened at that path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return OpenedDatabase(_connect(path, schema, synchronous, timeout, check=check))
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        backup = rename_to_backup(path)
        return OpenedDatabase(_connect(path, schema, synchronous, timeout, check=check), str(error), backup)


def open_in_memory(schema: Schema) -> sqlite3.Connection:
    """Open a database that is lost when the connection is closed."""
    connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    _prepare(connection, schema, check=False)
    return connection


def open_read_only(path: Path, *, timeout: float = BUSY_TIMEOUT) -> sqlite3.Connection:
    """Open an existing file for reading, also beside a program that writes it. Raises sqlite3.Error.

    The reader can be another user than the writer. Where it cannot create the files that readers share, and no writer
    has left any, it reads the file alone.
    """
    try:
        return _open_uri(f"{path.absolute().as_uri()}?mode=ro", timeout)
    except sqlite3.OperationalError:
        if not path.exists() or path.with_name(f"{path.name}-wal").exists():
            raise
        return _open_uri(f"{path.absolute().as_uri()}?immutable=1", timeout)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the error says that the file itself cannot be used. It is false for a full disk and for a lock."""
    if isinstance(error, UnusableDatabase):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF in DAMAGED or code == sqlite3.SQLITE_IOERR_SHORT_READ)


def is_lock(error: sqlite3.Error) -> bool:
    """Whether the error says that another connection has locked the file."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    return code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def rename_to_backup(path: Path) -> Path:
    """Rename the file, so that another one can take its place; return the new path. Raises OSError."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    backup = path.with_name(f"{path.name}.{stamp}")
    number = 1
    while backup.exists():
        number += 1
        backup = path.with_name(f"{path.name}.{stamp}-{number}")
    path.replace(backup)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return backup


def _open_uri(uri: str, timeout: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri, uri=True, timeout=timeout, check_same_thread=False, isolation_level=None
    )
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _connect(
    path: Path, schema: Schema, synchronous: str, timeout: float, *, check: bool
) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=timeout)
    try:
        if connection.execute("PRAGMA page_count").fetchone() == (
            0,
        ):  # in a file with tables, it needs a lock
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        _prepare(connection, schema, check=check)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, schema: Schema, *, check: bool) -> None:
    """Bring the tables to the schema's version, each step in one transaction, and check the file."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        _run_script(connection, schema.create, schema.version)
        version = schema.version
    while version in schema.upgrades:
        _run_script(connection, schema.upgrades[version], version + 1)
        version += 1
    if version != schema.version:
        raise UnusableDatabase(
            f"its tables have version {version}, but this sparkd needs version {schema.version}"
        )
    if schema.additions:
        connection.executescript(schema.additions)
    if check and connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise UnusableDatabase("the file is damaged")


def _run_script(connection: sqlite3.Connection, script: str, version: int) -> None:
    try:
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {version}; COMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.rollback()
        raise
