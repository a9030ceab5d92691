"""Opening of SQLite files: tables are created and upgraded, and a file that cannot be used is kept aside."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from sparkd.storage.database import Schema, is_damage, is_lock, open_database, open_in_memory, open_read_only

FIRST = Schema(version=1, create="CREATE TABLE things (name TEXT);")
THIRD = Schema(
    version=3,
    create="CREATE TABLE things (name TEXT, size INTEGER, colour TEXT);",
    upgrades={
        1: "ALTER TABLE things ADD COLUMN size INTEGER;",
        2: "ALTER TABLE things ADD COLUMN colour TEXT;",
    },
)


def fill(path: Path, schema: Schema = FIRST) -> None:
    opened = open_database(path, schema, synchronous="FULL")
    opened.connection.execute("INSERT INTO things (name) VALUES ('one')")
    opened.connection.close()


def test_a_missing_file_and_its_folder_are_created(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.sqlite"
    fill(path)
    opened = open_database(path, FIRST, synchronous="NORMAL")
    assert opened.connection.execute("SELECT name FROM things").fetchall() == [("one",)]
    assert opened.backup is None
    opened.connection.close()


def test_an_older_file_is_upgraded_version_by_version_and_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "file.sqlite"
    fill(path)
    opened = open_database(path, THIRD, synchronous="FULL")
    assert opened.connection.execute("SELECT * FROM things").fetchall() == [("one", None, None)]
    assert opened.connection.execute("PRAGMA user_version").fetchone() == (3,)
    assert opened.backup is None
    opened.connection.close()


def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file.sqlite"
    fill(path)
    broken = replace(
        THIRD, upgrades={**THIRD.upgrades, 2: "ALTER TABLE things ADD COLUMN colour TEXT; SELECT nonsense;"}
    )
    with pytest.raises(sqlite3.OperationalError):
        open_database(path, broken, synchronous="FULL")
    opened = open_database(path, THIRD, synchronous="FULL")
    assert opened.connection.execute("SELECT * FROM things").fetchall() == [("one", None, None)]
    opened.connection.close()


def test_a_file_of_a_later_version_is_kept_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file.sqlite"
    fill(path, THIRD)
    opened = open_database(path, FIRST, synchronous="FULL")
    assert "version 3" in opened.problem
    opened.connection.close()
    assert opened.backup is not None
    kept = open_read_only(opened.backup)
    assert kept.execute("SELECT name FROM things").fetchall() == [("one",)]
    kept.close()


def test_two_damaged_files_in_one_second_are_both_kept(tmp_path: Path) -> None:
    path = tmp_path / "file.sqlite"
    backups = set()
    for number in range(3):
        path.write_bytes(b"no database %d" % number * 200)
        opened = open_database(path, FIRST, synchronous="FULL")
        opened.connection.close()
        backups.add(opened.backup)
        path.unlink()
    assert len(backups) == 3


def test_a_reader_sees_what_a_writer_has_committed_and_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "file.sqlite"
    writer = open_database(path, FIRST, synchronous="NORMAL").connection
    reader = open_read_only(path)
    writer.execute("INSERT INTO things VALUES ('new')")
    assert reader.execute("SELECT name FROM things").fetchall() == [("new",)]
    with pytest.raises(sqlite3.OperationalError):
        reader.execute("DELETE FROM things")
    for connection in (reader, writer):
        connection.close()


def test_a_reader_needs_no_writer_and_no_right_to_write(tmp_path: Path) -> None:
    path = tmp_path / "file.sqlite"
    fill(path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file.sqlite"]
    reader = open_read_only(path)
    assert reader.execute("SELECT name FROM things").fetchall() == [("one",)]
    reader.close()


def test_a_reader_does_not_create_a_file(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        open_read_only(tmp_path / "missing.sqlite")
    assert not list(tmp_path.iterdir())


def test_a_lock_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "file.sqlite"
    fill(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    other = open_database(path, FIRST, synchronous="FULL", timeout=0.01).connection
    with pytest.raises(sqlite3.OperationalError) as locked:
        other.execute("BEGIN IMMEDIATE")
    assert is_lock(locked.value)
    assert not is_damage(locked.value)
    for connection in (other, holder):
        connection.close()


def test_a_database_in_memory_has_the_tables() -> None:
    connection = open_in_memory(THIRD)
    assert connection.execute("SELECT * FROM things").fetchall() == []
    connection.close()
