"""What sparkd has learned, in SQLite: footprints and load times per (model, key), guard kills, leaks, and what starts.

Nothing here needs to be correct for sparkd to be: a file that cannot be read is set aside and said, and one that cannot
be written is done without. Figures are read from memory; the file is written where a run begins or ends. `key` is
whatever makes two runs of a model comparable: see `run_key`.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct, field

SCHEMA: Final = 2
"""Version of the tables, in SQLite's user_version. Another version's file is set aside: it is only a memory."""

MAX_RUNS: Final = 5
"""Runs that a learned footprint looks back on: one that was asked little must not hide what others have needed."""

TABLES: Final = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, model TEXT NOT NULL, key TEXT NOT NULL, ended REAL NOT NULL,
    peak INTEGER NOT NULL, final INTEGER NOT NULL, load_time REAL NOT NULL, phases TEXT NOT NULL
);
CREATE INDEX runs_of ON runs (model, key, number);
CREATE TABLE starting (model TEXT PRIMARY KEY, key TEXT NOT NULL, boot TEXT NOT NULL);
CREATE TABLE quarantined (model TEXT PRIMARY KEY, key TEXT NOT NULL, cause TEXT NOT NULL);
CREATE TABLE guard_kills (model TEXT PRIMARY KEY, key TEXT NOT NULL, count INTEGER NOT NULL);
CREATE TABLE last_guard_action (one INTEGER PRIMARY KEY CHECK (one = 1), model TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE leaks (boot TEXT PRIMARY KEY, bytes INTEGER NOT NULL);
"""


class PastRun(Struct, frozen=True):
    """A run that was ready: its highest and its final memory in bytes, seconds until ready, and for each step."""

    peak: int
    final: int
    load_time: float
    phases: Mapping[str, float] = field(default_factory=dict)


class ModelProfile(Struct, frozen=True):
    """What the last runs of a model teach: the footprint of the next one, and the last one as it was."""

    footprint: int
    last: PastRun
    runs: int


def run_key(argv: Sequence[str], environment: Mapping[str, str], runtime: str) -> str:
    """Return what two runs must share to be comparable: command line, model's own environment, build of the runtime."""
    text = json.dumps([list(argv), sorted(environment.items()), runtime])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class History:
    """One file, and the part of it in memory that decisions look at. Whoever writes from two threads takes turns."""

    def __init__(self, connection: sqlite3.Connection, boot: str, notices: tuple[str, ...] = ()) -> None:
        self.notices = notices
        self._connection = connection
        self._boot = boot
        self._runs: dict[tuple[str, str], list[PastRun]] = {}
        self.last_guard_action: tuple[str, float] | None = None
        """Whom the memory guard ended last, and when, in seconds since the epoch."""
        self._load()

    @classmethod
    def open(cls, path: Path, boot: str) -> History:
        """Open the file, or make it. `boot` names this boot of the machine.

        Never fails: what is corrupt is renamed, where nothing can be written it is kept in memory; `notices` tells.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                return cls(_connect(path), boot)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError) and "disk" not in str(error):
                    raise
                backup = _move_to_backup(path)
                notice = f"what sparkd had learned cannot be read ({error}): it is kept as {backup}"
                return cls(_connect(path), boot, (notice,))
        except (OSError, sqlite3.Error) as error:
            notice = f"what sparkd learns is forgotten when it stops: {path}: {error}"
            return cls(_prepare(sqlite3.connect(":memory:", check_same_thread=False)), boot, (notice,))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # Footprints and load times -----------------------------------------------------------------------------

    def profile(self, model: str, key: str) -> ModelProfile | None:
        """What earlier runs of exactly this teach."""
        past = self._runs.get((model, key))
        return ModelProfile(max(run.peak for run in past), past[-1], len(past)) if past else None

    def add_run(self, model: str, key: str, run: PastRun) -> None:
        """Note a run that was ready and has ended."""
        # A new list: another thread may be reading the old one.
        self._runs[model, key] = [*self._runs.get((model, key), ()), run][-MAX_RUNS:]
        self._write(
            "INSERT INTO runs (model, key, ended, peak, final, load_time, phases) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (model, key, time.time(), run.peak, run.final, run.load_time, json.dumps(dict(run.phases))),
        )
        self._write(
            "DELETE FROM runs WHERE model = ?1 AND key = ?2 AND number NOT IN "
            "(SELECT number FROM runs WHERE model = ?1 AND key = ?2 ORDER BY number DESC LIMIT ?3)",
            (model, key, MAX_RUNS),
        )

    # What was starting when the machine died ---------------------------------------------------------------

    def record_start(self, model: str, key: str) -> None:
        """Note, on disk before anything is launched, that this model starts."""
        self._write("INSERT OR REPLACE INTO starting VALUES (?, ?, ?)", (model, key, self._boot))

    def clear_start(self, model: str) -> None:
        """Note that the model starts no longer: it is ready, or has ended while sparkd looked on."""
        self._write("DELETE FROM starting WHERE model = ?", (model,))

    def find_interrupted_starts(self) -> dict[str, tuple[str, bool]]:
        """What was starting when sparkd last ended without a word: each model's key, and whether the machine did."""
        rows = self._connection.execute("SELECT model, key, boot FROM starting").fetchall()
        return {model: (key, boot != self._boot) for model, key, boot in rows}

    # What only an operator's word brings back --------------------------------------------------------------

    def quarantine(self, model: str, key: str, cause: str) -> None:
        """Note that this model, as it is defined now, is not to be started without an operator's word."""
        self._write("INSERT OR REPLACE INTO quarantined VALUES (?, ?, ?)", (model, key, cause))

    def quarantine_cause(self, model: str, key: str) -> str | None:
        """Why the model is quarantined; None if it is not, or was under another definition."""
        return self._query_value("SELECT cause FROM quarantined WHERE model = ? AND key = ?", (model, key))

    def models_with_records(self) -> set[str]:
        """Models, under whatever definition, that are quarantined or that the guard has ended."""
        rows = self._connection.execute(
            "SELECT model FROM quarantined UNION SELECT model FROM guard_kills"
        ).fetchall()
        return {model for (model,) in rows}

    def clear_quarantine(self, model: str) -> None:
        """Forget that the model was quarantined, was starting, or was killed by the guard: the operator's word."""
        for table in ("quarantined", "starting", "guard_kills"):
            self._write(f"DELETE FROM {table} WHERE model = ?", (model,))  # noqa: S608 - names of our own

    def count_guard_kill(self, model: str, key: str) -> int:
        """Count a kill by the guard; return how many there have been of this definition."""
        count = self.guard_kills(model, key) + 1
        self._write("INSERT OR REPLACE INTO guard_kills VALUES (?, ?, ?)", (model, key, count))
        return count

    def guard_kills(self, model: str, key: str) -> int:
        """How often the guard has killed this definition of the model since an operator last said otherwise."""
        found = self._query_value("SELECT count FROM guard_kills WHERE model = ? AND key = ?", (model, key))
        return int(found or 0)

    def record_guard_action(self, model: str) -> None:
        """Note that the guard has just ended this model. An operator's word does not undo it."""
        self.last_guard_action = model, time.time()
        self._write("INSERT OR REPLACE INTO last_guard_action VALUES (1, ?, ?)", self.last_guard_action)

    # Memory that never came back ---------------------------------------------------------------------------

    @property
    def leaked(self) -> int:
        """Bytes missing since this boot."""
        return int(self._query_value("SELECT bytes FROM leaks WHERE boot = ?", (self._boot,)) or 0)

    def record_leak(self, size: int) -> None:
        """Note how much is missing now."""
        self._write("INSERT OR REPLACE INTO leaks VALUES (?, ?)", (self._boot, size))

    # SQLite ------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        rows = self._connection.execute(
            "SELECT model, key, peak, final, load_time, phases FROM runs ORDER BY number"
        )
        for model, key, peak, final, load_time, phases in rows.fetchall():
            run = PastRun(peak, final, load_time, json.loads(phases))
            self._runs.setdefault((model, key), []).append(run)
        self.last_guard_action = self._connection.execute(
            "SELECT model, at FROM last_guard_action"
        ).fetchone()

    def _query_value(self, query: str, values: tuple[str, ...]) -> str | None:
        with suppress(sqlite3.Error):
            row = self._connection.execute(query, values).fetchone()
            return None if row is None else str(row[0])
        return None

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        """A disk that is full costs us what was learned, and no request."""
        with suppress(sqlite3.Error):
            self._connection.execute(statement, values)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=1.0)
    try:
        return _prepare(connection)
    except sqlite3.Error:
        connection.close()
        raise


def _prepare(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.isolation_level = None  # every statement is a transaction of its own
    connection.execute("PRAGMA journal_mode = WAL")
    # What starts must be on the disk before it can freeze the machine.
    connection.execute("PRAGMA synchronous = FULL")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        connection.executescript(TABLES + f"PRAGMA user_version = {SCHEMA};")
    elif version != SCHEMA:
        raise sqlite3.DatabaseError(f"its tables are of version {version}, and this sparkd knows {SCHEMA}")
    if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
        raise sqlite3.DatabaseError("it is damaged")
    return connection


def _move_to_backup(path: Path) -> Path:
    backup = path.with_name(f"{path.name}.{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}")
    path.replace(backup)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return backup
