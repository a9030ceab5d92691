"""The store never fails a request: whatever happens to its file, records are written as soon as that is possible."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sparkd.errors import UsageUnreadable
from sparkd.usage import batch
from sparkd.usage.reader import UsageReader
from sparkd.usage.records import Measurement, Occurrence
from sparkd.usage.request_query import RequestQuery
from sparkd.usage.usage_query import UsageQuery
from tests.usage.recorded import NOW, change, ids, request, running_store, wait_for


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "usage.sqlite"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def rows_on_disk(path: Path, table: str = "requests") -> int:
    """What another program sees in the file, such as the sqlite3 command."""
    try:
        with closing(sqlite3.connect(path, timeout=0.1)) as connection:
            (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            return int(count)
    except sqlite3.Error:
        return -1


def test_everything_that_is_recorded_is_read_at_once_and_after_a_restart(path: Path) -> None:
    with running_store(path) as store:
        reader = UsageReader(path, store)
        store.add_requests([request(1), request(2, rewrites=("a", "b"), streamed=True, gone="prefill")])
        store.add_change(change(NOW, "qwen", "ready"))
        store.add_occurrence(Occurrence(at=NOW, kind="downloaded", model="qwen"))
        store.add_measurements([Measurement(at=NOW, gpu=0.5, peak_out=9.0)])
        assert ids(reader) == ["req-000002", "req-000001"]
    with running_store(path) as store:
        reader = UsageReader(path, store)
        assert ids(reader, order="asc") == ["req-000001", "req-000002"]
        assert reader.measurements(0, NOW + 1) == [Measurement(at=NOW, gpu=0.5, peak_out=9.0)]
        assert reader.history(NOW - 60, NOW + 60).occurrences == [
            Occurrence(at=NOW, kind="downloaded", model="qwen")
        ]


def test_a_record_comes_back_as_it_was(path: Path) -> None:
    full = request(
        7,
        client="owner",
        program="cline",
        code="x",
        gone="decoding",
        streamed=True,
        queue_seconds=1.5,
        load_seconds=2.5,
        first_token_seconds=3.5,
        tokens_in=5,
        tokens_cached=4,
        tokens_out=3,
        rewrites=("one", "two"),
        heartbeats=9,
    )
    with running_store(path) as store:
        store.add_requests([full, request(8)])
        reader = UsageReader(path, store)
        assert reader.requests(RequestQuery(order="asc")).requests == [full, request(8)]


def test_without_recording_no_request_is_kept_but_the_history_is(path: Path) -> None:
    with running_store(path, record=False) as store:
        store.add_requests([request(1)])
        store.add_change(change(NOW, "qwen", "ready"))
    assert rows_on_disk(path) == 0
    assert rows_on_disk(path, "days") == 0
    assert rows_on_disk(path, "changes") == 1


def test_the_bound_of_requests_is_kept_and_old_ones_still_count(path: Path) -> None:
    with running_store(path, max_requests=100) as store:
        reader = UsageReader(path, store)
        for part in range(5):
            store.add_requests([request(part * 300 + number) for number in range(300)])
            with store.read_consistently():
                pass
        wait_for(lambda: rows_on_disk(path) == 100)
        assert ids(reader)[0] == "req-001499"
        assert reader.usage(UsageQuery()).total.requests == 1500


def test_nothing_is_kept_one_by_one_with_a_bound_of_zero(path: Path) -> None:
    with running_store(path, max_requests=0) as store:
        store.add_requests([request(number) for number in range(1200)])
        wait_for(lambda: rows_on_disk(path, "days") > 0 and rows_on_disk(path) == 0)


def test_old_records_are_deleted_by_age(path: Path) -> None:
    old = NOW - 11 * 86400
    with running_store(path, keep_days=10) as store:
        store.add_requests([request(1, ended=old), request(2)])
        store.add_change(change(old, "qwen", "ready"))
        store.add_measurements([Measurement(at=NOW - 32 * 86400), Measurement(at=NOW)])
        wait_for(lambda: rows_on_disk(path, "measurements") == 1)
        wait_for(lambda: rows_on_disk(path) == 1 and rows_on_disk(path, "changes") == 0)
        assert rows_on_disk(path, "days") == 1


def test_a_full_disk_loses_nothing_and_is_logged_once(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = small_disk / "usage.sqlite"
    ballast = small_disk / "ballast"
    with running_store(path) as store:
        reader = UsageReader(path, store)
        store.add_requests([request(0)])
        assert ids(reader) == ["req-000000"]
        with ballast.open("wb", buffering=0) as file:
            os.posix_fallocate(
                file.fileno(), 0, os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
            )
        store.add_requests([request(number) for number in range(1, 800)])
        wait_for(lambda: "Cannot write" in caplog.text)
        assert len(ids(reader, limit=1000)) == 800  # from memory
        assert reader.usage(UsageQuery()).total.requests == 800
        ballast.unlink()
        wait_for(lambda: rows_on_disk(path) == 800)
        assert len(ids(reader, limit=1000)) == 800
        assert reader.usage(UsageQuery()).total.requests == 800
    assert caplog.text.count("Cannot write") == 1
    assert caplog.text.count("is written again") == 1


@pytest.mark.parametrize(
    "fields",
    [{"tokens_in": 10**30}, {"tokens_out": -(10**30)}, {"asked": "\ud800"}, {"seconds": float("nan")}],
)
def test_a_record_that_cannot_be_stored_costs_no_other(
    path: Path, caplog: pytest.LogCaptureFixture, fields: dict[str, Any]
) -> None:
    with running_store(path) as store:
        reader = UsageReader(path, store)
        store.add_requests([request(0), request(1, **fields), request(2)])
        wait_for(lambda: rows_on_disk(path) == 2)
        store.add_requests([request(3)])
        wait_for(lambda: rows_on_disk(path) == 3)
        assert sorted(ids(reader)) == ["req-000000", "req-000002", "req-000003"]
        assert reader.usage(UsageQuery()).total.requests == 3
    assert caplog.text.count("1 records cannot be stored") == 1


def test_a_file_that_is_deleted_is_created_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running_store(path) as store:
        store.add_requests([request(1)])
        wait_for(lambda: rows_on_disk(path) == 1)
        for each in path.parent.iterdir():
            each.unlink()
        store.add_requests([request(2)])
        wait_for(lambda: rows_on_disk(path) == 1)
        assert ids(UsageReader(path, store)) == ["req-000002"]
        assert rows_on_disk(path, "sessions") == 1
    assert "deleted or replaced" in caplog.text


def test_a_deleted_folder_is_created_again(path: Path) -> None:
    with running_store(path) as store:
        store.add_requests([request(1)])
        wait_for(lambda: rows_on_disk(path) == 1)
        shutil.rmtree(path.parent)
        store.add_requests([request(2)])
        wait_for(lambda: rows_on_disk(path) == 1)


def test_another_file_in_its_place_is_used(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite"
    with running_store(copy) as store:
        store.add_requests([request(9)])
    with running_store(path) as store:
        store.add_requests([request(1)])
        wait_for(lambda: rows_on_disk(path) == 1)
        copy.replace(path)
        store.add_requests([request(2)])
        wait_for(lambda: ids(UsageReader(path, store)) == ["req-000009", "req-000002"])


def test_a_lock_of_another_program_only_delays(path: Path) -> None:
    with running_store(path) as store:
        reader = UsageReader(path, store)
        store.add_requests([request(1)])
        wait_for(lambda: rows_on_disk(path) == 1)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            store.add_requests([request(2)])
            assert ids(reader) == ["req-000002", "req-000001"]  # the second one is from memory
            assert rows_on_disk(path) == 1
            other.execute("ROLLBACK")
        wait_for(lambda: rows_on_disk(path) == 2)
        assert ids(reader) == ["req-000002", "req-000001"]


def test_a_damaged_file_is_renamed_and_recording_continues(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running_store(path) as store:
        store.add_requests([request(number) for number in range(2000)])
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 20] = os.urandom(4096 * 17)
    path.write_bytes(content)
    with running_store(path) as store:
        store.add_requests([request(3000)])
        wait_for(lambda: rows_on_disk(path) == 1)
    assert len(list(path.parent.glob("usage.sqlite.*T*"))) == 1
    assert "the old file is kept as" in caplog.text


def test_a_file_that_is_damaged_while_it_is_open_is_replaced(path: Path) -> None:
    with running_store(path) as store:
        reader = UsageReader(path, store)
        store.add_requests([request(number) for number in range(2000)])
        wait_for(lambda: rows_on_disk(path) == 2000)
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = path.stat().st_size
        with path.open("r+b") as file:  # the same file: another program has written into it
            file.write(os.urandom(size))
        with pytest.raises(UsageUnreadable):
            ids(reader)
        wait_for(lambda: rows_on_disk(path) == 0)
        store.add_requests([request(3000)])
        assert ids(reader) == ["req-003000"]


def test_a_folder_that_cannot_be_written_keeps_records_in_memory(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    path = tmp_path / "state" / "usage.sqlite"
    with running_store(path) as store:
        reader = UsageReader(path, store)
        store.add_requests([request(1)])
        store.add_change(change(NOW, "qwen", "ready"))
        assert ids(reader) == ["req-000001"]
        assert reader.usage(UsageQuery()).total.requests == 1
        (tmp_path / "state").unlink()
        wait_for(lambda: rows_on_disk(path) == 1)


def test_records_in_memory_are_bounded_and_the_loss_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "state").write_text("a file where a folder should be")
    path = tmp_path / "state" / "usage.sqlite"
    with running_store(path) as store:
        for part in range(3):
            store.add_requests([request(part * 10_000 + number) for number in range(10_000)])
        wait_for(lambda: "Cannot write" in caplog.text)
        (tmp_path / "state").unlink()
        wait_for(lambda: rows_on_disk(path) == batch.MAX_PENDING)
        wait_for(lambda: "dropped meanwhile: 10000" in caplog.text)


def test_what_cannot_be_written_in_the_end_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    with running_store(tmp_path / "state" / "usage.sqlite") as store:
        store.add_requests([request(1), request(2)])
    assert "2 records of requests and models are lost" in caplog.text
    store.add_requests([request(3)])  # too late, but no error


def test_records_from_many_threads_are_all_kept(path: Path) -> None:
    with running_store(path) as store:

        def add(part: int) -> None:
            for number in range(50):
                store.add_requests([request(part * 1000 + number)])
                store.add_change(change(NOW, f"m{part}", "ready"))

        threads = [threading.Thread(target=add, args=(part,)) for part in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert rows_on_disk(path) == 400
    assert rows_on_disk(path, "changes") == 400


def test_readers_beside_the_writer_count_nothing_twice(path: Path) -> None:
    with running_store(path) as store:
        reader = UsageReader(path, store)
        for number in range(100):
            store.add_requests([request(number)])
            if number % 5 == 0:
                found = ids(reader, limit=1000)
                assert len(found) == len(set(found)) == number + 1
                assert reader.usage(UsageQuery()).total.requests == number + 1
