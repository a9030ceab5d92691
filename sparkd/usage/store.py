"""Keeps what happened: records come from the event loop, and one thread writes them to the disk within a second.

Nothing here fails or waits for the disk on the event loop. While the file cannot be written, records wait in memory,
within a bound, and are part of what is read.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from sparkd.usage.batch import Batch
from sparkd.usage.database import UNSTORABLE, UsageDatabase
from sparkd.usage.pruning import Limits
from sparkd.usage.records import Measurement, Occurrence, RequestRecord, StateChange
from sparkd.usage.session import Session

COLLECT_SECONDS: Final = 0.25
"""How long the thread waits for more records before it writes. A crash loses less than a second of records."""

SEEN_SECONDS: Final = 10.0
"""Interval in which a program without anything to record writes that it is alive."""

FIRST_RETRY: Final = 0.5
LAST_RETRY: Final = 10.0
"""Seconds between attempts to write a file that cannot be written: they double from the first to the last."""

FLUSH_TIMEOUT: Final = 0.5
"""Seconds that a reader waits for the writer. Then it reads what is not written from memory."""

CLOSE_TIMEOUT: Final = 0.9
"""Seconds that sparkd waits for the last write when it stops."""

logger = logging.getLogger(__name__)


class UsageSettings(Protocol):
    """The table `[usage]` of the catalogue."""

    @property
    def record(self) -> bool:
        """Whether requests are recorded."""
        ...

    @property
    def max_requests(self) -> int:
        """The most requests that are kept one by one."""
        ...

    @property
    def keep_days(self) -> int:
        """Days for which everything is kept."""
        ...


class UsageStore:
    """One file of one daemon. Every method may be called from every thread."""

    def __init__(self, path: Path, settings: Callable[[], UsageSettings], version: str) -> None:
        self.path = path
        self.session = Session(version)
        self._settings = settings
        self._database = UsageDatabase(path, self.session)
        self._changed = threading.Condition()
        self._commit = threading.Lock()
        self._pending, self._writing = Batch(), Batch()
        self._is_closed = self._is_urgent = self._is_doubted = False
        self._failure: str = ""
        self._version = 0
        self._thread = threading.Thread(target=self._run, name="usage", daemon=True)

    @property
    def is_recording(self) -> bool:
        """Whether requests are recorded now."""
        return self._settings().record

    # For those who record ----------------------------------------------------------------------------------

    def add_requests(self, requests: Iterable[RequestRecord]) -> None:
        """Record requests, unless `[usage] record` is off."""
        if self.is_recording:
            self._add(Batch(requests=list(requests)))

    def add_change(self, change: StateChange) -> None:
        """Record that a model's state has changed."""
        self._add(Batch(changes=[change]))

    def add_occurrence(self, occurrence: Occurrence) -> None:
        """Record something that happened."""
        self._add(Batch(occurrences=[occurrence]))

    def add_measurements(self, measurements: Sequence[Measurement]) -> None:
        """Record measurements. One with the time of an earlier one replaces it."""
        self._add(Batch(measurements=list(measurements)))

    def start(self, kept: frozenset[str] | None) -> None:
        """Begin to write. `kept`: see Session. What was recorded before is written too."""
        self.session.kept = kept
        self._thread.start()

    def close(self) -> None:
        """Write what is not written, and close the file; return within a second."""
        self.session.ended = time.time()
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(CLOSE_TIMEOUT)
        with self._changed:
            lost = len(self._pending) + len(self._writing)
        if lost:
            logger.warning("%d records of requests and models are lost, because %s", lost, self._reason())

    # For readers -------------------------------------------------------------------------------------------

    @contextmanager
    def read_consistently(self) -> Iterator[Batch]:
        """Have the pending records written, and yield those that could not be. While the block runs, nothing is
        committed: a transaction that begins there sees what is not in the batch."""
        with self._changed:
            if (self._pending or self._writing) and not self._failure and self._thread.is_alive():
                self._is_urgent = True
                self._changed.notify_all()
                self._changed.wait_for(self._has_written, FLUSH_TIMEOUT)
        with self._commit:
            with self._changed:  # but not while the reader opens the file: the event loop needs it
                unwritten = self._writing.put_before(self._pending)
            yield unwritten

    @property
    def has_unwritten(self) -> bool:
        """Whether records are only in memory."""
        with self._changed:
            return bool(self._pending or self._writing)

    @property
    def version(self) -> int:
        """Grows with each record of a request or of a model. What was read before is then incomplete."""
        return self._version

    def report_damage(self) -> None:
        """Have the file checked, because it cannot be read."""
        with self._changed:
            self._is_doubted = True
            self._changed.notify_all()

    def _has_written(self) -> bool:
        return bool(self._failure) or not (self._pending or self._writing)

    # The thread --------------------------------------------------------------------------------------------

    def _add(self, batch: Batch) -> None:
        with self._changed:
            if self._is_closed:
                return
            if batch.requests or batch.changes:
                self._version += 1
            was_empty = not self._pending
            self._pending.append(batch)
            if was_empty:
                self._changed.notify_all()

    def _run(self) -> None:
        is_more_old, retry = True, FIRST_RETRY
        while True:
            is_last = self._wait(0.0 if is_more_old else SEEN_SECONDS)
            try:
                if self._is_doubted:
                    self._is_doubted = False
                    self._database.verify()
                dropped = self._write()
                self._report_success(dropped)
                if is_last:
                    break
                usage = self._settings()
                is_more_old = self._database.delete_some(Limits(usage.max_requests, usage.keep_days))
                retry = FIRST_RETRY
            except (OSError, sqlite3.Error) as error:
                self._report_failure(error)
                if is_last:
                    break
                is_more_old = False
                self._pause(retry)
                retry = min(2 * retry, LAST_RETRY)
            finally:
                self._log_notices()
        self._database.close()

    def _wait(self, longest: float) -> bool:
        """Wait for records, at most so many seconds, and then for more of them. Return whether this is the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._is_closed or self._is_doubted, longest)
            if self._pending:
                self._changed.wait_for(lambda: self._is_urgent or self._is_closed, COLLECT_SECONDS)
            self._is_urgent = False
            return self._is_closed

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._is_doubted, seconds)

    def _write(self) -> int:
        """Write everything that is pending; return how many records were dropped before. If it fails, it is pending
        again."""
        with self._changed:
            self._writing, self._pending = self._pending, Batch()
        try:
            self._write_storable()
            with self._commit:
                self._database.commit()
                with self._changed:
                    dropped, self._writing = self._writing.dropped, Batch()
                    self._changed.notify_all()
                return dropped
        except (OSError, sqlite3.Error):
            with self._changed:
                self._pending = self._writing.put_before(self._pending)
                self._writing = Batch()
            raise

    def _write_storable(self) -> None:
        """Write the records up to their commit, without those that cannot be stored: they must not stop the others."""
        try:
            self._database.write(self._writing)
        except UNSTORABLE:
            with self._changed:
                before = len(self._writing)
                self._writing.drop_unstorable()
                if len(self._writing) == before:
                    self._writing = Batch(dropped=before)
            logger.exception("Bug in sparkd: %d records cannot be stored", before - len(self._writing))
            self._database.write(self._writing)

    def _report_failure(self, error: Exception) -> None:
        """Log the first failure of several."""
        is_first = not self._failure
        with self._changed:
            self._failure = str(error)
            self._changed.notify_all()
        if is_first:
            message = (
                "Cannot write %s: %s. Records of requests and models wait in memory until it can be written."
            )
            logger.warning(message, self.path, error)

    def _report_success(self, dropped: int) -> None:
        if not self._failure and not dropped:
            return
        with self._changed:
            self._failure = ""
        logger.info("%s is written again; records that were dropped meanwhile: %d", self.path, dropped)

    def _reason(self) -> str:
        return f"{self.path} cannot be written: {self._failure}" if self._failure else "the disk is too slow"

    def _log_notices(self) -> None:
        notices, self._database.notices = self._database.notices, []
        for notice in notices:
            logger.warning("%s", notice)
