"""The history in SQLite: footprints and loads per (model, key), kills by the guard, leaks, and current starts.

sparkd works without this file. A file that cannot be read is renamed and reported; write errors are ignored. Figures
are read from memory, and the file is written when a run starts, is ready, or ends. `key` identifies what makes two runs
of a model comparable: see past_runs.py.
"""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from sparkd.learning.load_estimates import PastLoad
from sparkd.learning.past_runs import ModelProfile, PastRun
from sparkd.learning.tables import SCHEMA
from sparkd.storage.database import open_database, open_in_memory

MAX_RUNS: Final = 5
"""Runs that a learned footprint is based on: a run with few requests must not hide what other runs needed."""

MAX_LOADS: Final = 5
"""Loads of each kind that are kept for a model and key."""


class History:
    """One database file, and the part of it that decisions read from memory. Only one thread at a time may write."""

    def __init__(self, connection: sqlite3.Connection, boot: str, notices: tuple[str, ...] = ()) -> None:
        self.notices = notices
        self._connection = connection
        self._boot = boot
        self._runs: dict[tuple[str, str], list[PastRun]] = {}
        self._loads: dict[tuple[str, str], list[PastLoad]] = {}
        self._with_runs: set[str] = set()
        self.last_guard_action: tuple[str, float] | None = None
        """The model that the memory guard stopped last, and when, in seconds since the epoch."""
        self._load()

    @classmethod
    def open(cls, path: Path, boot: str) -> History:
        """Open the file, or create it. `boot` identifies this boot of the machine.

        Never fails. A corrupt file is renamed; if the file cannot be opened, the history is in memory only. `notices`
        reports both.
        """
        try:
            # FULL: a start must be recorded on the disk before it can freeze the machine.
            opened = open_database(path, SCHEMA, synchronous="FULL")
        except (OSError, sqlite3.Error) as error:
            notice = f"Cannot open {path}: {error}. sparkd will forget what it learns when it stops."
            return cls(open_in_memory(SCHEMA), boot, (notice,))
        if opened.backup is None:
            return cls(opened.connection, boot)
        notice = (
            f"Cannot read {path}: {opened.problem}. sparkd starts to learn again; the old file is kept as "
            f"{opened.backup}."
        )
        return cls(opened.connection, boot, (notice,))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # Footprints and load times -----------------------------------------------------------------------------

    @property
    def models_with_runs(self) -> frozenset[str]:
        """The ids of the models of which runs are known."""
        return frozenset(self._with_runs)

    def has_runs(self, model: str) -> bool:
        """Return whether any run of a model with this id is known."""
        return model in self._with_runs

    def profile(self, model: str, key: str) -> ModelProfile | None:
        """Return what was learned from earlier runs with the same key. None if there are none."""
        past = self._runs.get((model, key))
        return ModelProfile(max(run.peak for run in past), past[-1], len(past)) if past else None

    def add_run(self, model: str, key: str, run: PastRun) -> None:
        """Add a run that became ready and has ended."""
        # A new list: another thread may be reading the old one.
        self._with_runs.add(model)
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

    def loads(self, model: str, key: str) -> list[PastLoad]:
        """Return the last loads with the same key, oldest first, as far as they are known."""
        if loads := self._loads.get((model, key)):
            return loads
        return [PastLoad(run.load_time, run.phases) for run in self._runs.get((model, key), ())]

    def all_loads(self) -> dict[tuple[str, str], list[PastLoad]]:
        """Return the recorded loads by model and key, oldest first. Do not change them."""
        return self._loads

    def add_load(self, model: str, key: str, load: PastLoad) -> None:
        """Add a load that has just succeeded."""
        # New collections: another thread may be reading the old ones.
        known = self._loads.get((model, key), [])
        others = [each for each in known if each.is_warm is not load.is_warm]
        alike = [*(each for each in known if each.is_warm is load.is_warm), load]
        self._loads = {**self._loads, (model, key): [*others, *alike[-MAX_LOADS:]]}
        self._write(
            "INSERT INTO loads (model, key, is_warm, size, seconds, phases) VALUES (?, ?, ?, ?, ?, ?)",
            (model, key, bool(load.is_warm), load.size, load.seconds, json.dumps(dict(load.phases))),
        )
        self._write(
            "DELETE FROM loads WHERE model = ?1 AND key = ?2 AND is_warm = ?3 AND number NOT IN "
            "(SELECT number FROM loads WHERE model = ?1 AND key = ?2 AND is_warm = ?3 ORDER BY number DESC LIMIT ?4)",
            (model, key, bool(load.is_warm), MAX_LOADS),
        )

    # What was starting when the machine died ---------------------------------------------------------------

    def record_start(self, model: str, key: str) -> None:
        """Record on disk, before the launch, that this model is starting."""
        self._write("INSERT OR REPLACE INTO starting VALUES (?, ?, ?)", (model, key, self._boot))

    def clear_start(self, model: str) -> None:
        """Record that the model is no longer starting: it is ready, or sparkd saw it end."""
        self._write("DELETE FROM starting WHERE model = ?", (model,))

    def find_interrupted_starts(self) -> dict[str, tuple[str, bool]]:
        """Return the models that were starting when sparkd was last killed: key, and whether the machine went down."""
        rows = self._connection.execute("SELECT model, key, boot FROM starting").fetchall()
        return {model: (key, boot != self._boot) for model, key, boot in rows}

    # Quarantine: only `sparkctl retry` lifts it --------------------------------------------------------------

    def quarantine(self, model: str, key: str, cause: str) -> None:
        """Record that this model, as it is defined now, must not be started until `sparkctl retry`."""
        self._write("INSERT OR REPLACE INTO quarantined VALUES (?, ?, ?)", (model, key, cause))

    def quarantine_cause(self, model: str, key: str) -> str | None:
        """Return why the model is in quarantine. None if it is not, or if its definition has changed."""
        return self._query_value("SELECT cause FROM quarantined WHERE model = ? AND key = ?", (model, key))

    def models_with_records(self) -> set[str]:
        """Return the models that, with any definition, are in quarantine or were stopped by the guard."""
        rows = self._connection.execute(
            "SELECT model FROM quarantined UNION SELECT model FROM guard_kills"
        ).fetchall()
        return {model for (model,) in rows}

    def clear_quarantine(self, model: str) -> None:
        """Delete quarantine, start and guard kills of the model, as `sparkctl retry` requests."""
        for table in ("quarantined", "starting", "guard_kills"):
            self._write(f"DELETE FROM {table} WHERE model = ?", (model,))  # noqa: S608 - fixed names

    def count_guard_kill(self, model: str, key: str) -> int:
        """Count a kill by the guard; return the number of kills of this definition."""
        count = self.guard_kills(model, key) + 1
        self._write("INSERT OR REPLACE INTO guard_kills VALUES (?, ?, ?)", (model, key, count))
        return count

    def guard_kills(self, model: str, key: str) -> int:
        """Return how often the guard has killed this definition of the model since the last `sparkctl retry`."""
        count = self._query_value("SELECT count FROM guard_kills WHERE model = ? AND key = ?", (model, key))
        return int(count or 0)

    def record_guard_action(self, model: str) -> None:
        """Record that the guard has just stopped this model. `clear_quarantine` does not delete this record."""
        self.last_guard_action = model, time.time()
        self._write("INSERT OR REPLACE INTO last_guard_action VALUES (1, ?, ?)", self.last_guard_action)

    # Warm starts that failed ----------------------------------------------------------------------------------

    def warm_failures(self) -> list[tuple[str, str, str, int]]:
        """Return all failures of warm starts: build, model, cause, and the number since the last success."""
        with suppress(sqlite3.Error):
            return self._connection.execute(
                "SELECT build, model, cause, recent FROM warm_failures"
            ).fetchall()
        return []

    def record_warm_failure(self, build: str, model: str, cause: str, recent: int) -> None:
        """Record a failure of a warm start, or that its number has changed."""
        self._write("INSERT OR REPLACE INTO warm_failures VALUES (?, ?, ?, ?)", (build, model, cause, recent))

    def clear_warm_failures(self, build: str) -> None:
        """Delete the failures of a build."""
        self._write("DELETE FROM warm_failures WHERE build = ?", (build,))

    # Memory that was not released --------------------------------------------------------------------------

    @property
    def leaked(self) -> int:
        """Bytes that were not released since this boot."""
        return int(self._query_value("SELECT bytes FROM leaks WHERE boot = ?", (self._boot,)) or 0)

    def record_leak(self, size: int) -> None:
        """Record how many bytes are missing now."""
        self._write("INSERT OR REPLACE INTO leaks VALUES (?, ?)", (self._boot, size))

    # SQLite ------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        rows = self._connection.execute(
            "SELECT model, key, peak, final, load_time, phases FROM runs ORDER BY number"
        )
        for model, key, peak, final, load_time, phases in rows.fetchall():
            run = PastRun(peak, final, load_time, json.loads(phases))
            self._runs.setdefault((model, key), []).append(run)
            self._with_runs.add(model)
        loads = self._connection.execute(
            "SELECT model, key, is_warm, size, seconds, phases FROM loads ORDER BY number"
        )
        for model, key, is_warm, size, seconds, phases in loads.fetchall():
            load = PastLoad(seconds, json.loads(phases), bool(is_warm), size)
            self._loads.setdefault((model, key), []).append(load)
        self.last_guard_action = self._connection.execute(
            "SELECT model, at FROM last_guard_action"
        ).fetchone()

    def _query_value(self, query: str, values: tuple[str, ...]) -> str | None:
        with suppress(sqlite3.Error):
            row = self._connection.execute(query, values).fetchone()
            return None if row is None else str(row[0])
        return None

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        """Run a statement. Errors are ignored: a full disk must not fail a request."""
        with suppress(sqlite3.Error):
            self._connection.execute(statement, values)
