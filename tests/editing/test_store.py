"""Edits are written whole, recorded, and undone; a crash, a full disk or another writer breaks nothing."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sparkd.catalog.reading import read_catalogue
from sparkd.editing.edits import MAX_EDITS, Edit, Journal, digest_or_none, summarize
from sparkd.editing.files import digest_of
from sparkd.editing.store import LocalStore
from sparkd.errors import (
    CatalogueError,
    CatalogueFileNotFound,
    CatalogueNotWritable,
    EditConflict,
    EditFailed,
    EditNotFound,
    InvalidRequest,
)
from tests.catalog.folder import Folder

NAME = "models.d/own.toml"
FIRST = b"[changes.a]\npinned = true\n"
SECOND = b"[changes.a]\npinned = false\n"


@pytest.fixture
def store(folder: Folder) -> LocalStore:
    return LocalStore(folder.catalogue)


def read(folder: Folder) -> bytes | None:
    file = folder.path / NAME
    return file.read_bytes() if file.exists() else None


def edits(folder: Folder) -> list[Edit]:
    return Journal(folder.path / "models.d").all()


def test_an_edit_is_written_and_undone_and_made_again(folder: Folder, store: LocalStore) -> None:
    store.write(NAME, FIRST, None)
    store.write(NAME, SECOND, digest_of(FIRST))
    assert store.toggle(None).current == FIRST
    assert read(folder) == FIRST
    assert store.toggle(None).current is None
    assert read(folder) is None
    with pytest.raises(EditNotFound):
        store.toggle(None)
    assert store.toggle(1).current == FIRST
    assert store.toggle(2).current == SECOND
    assert read(folder) == SECOND


def test_a_deletion_is_undone(folder: Folder, store: LocalStore) -> None:
    store.write(NAME, FIRST, None)
    store.write(NAME, None, digest_of(FIRST))
    assert read(folder) is None
    store.toggle(None)
    assert read(folder) == FIRST


def test_an_edit_of_another_text_is_a_conflict(folder: Folder, store: LocalStore) -> None:
    store.write(NAME, FIRST, None)
    for digest in (None, digest_of(SECOND)):
        with pytest.raises(EditConflict):
            store.write(NAME, SECOND, digest)
    (folder.path / NAME).write_bytes(b"# by hand\n")
    with pytest.raises(EditConflict):
        store.toggle(None)
    (folder.path / NAME).unlink()
    with pytest.raises(EditConflict, match="deleted"):
        store.write(NAME, SECOND, digest_of(FIRST))
    with pytest.raises(CatalogueFileNotFound):
        store.write(NAME, None, None)


def test_an_invalid_text_changes_nothing(folder: Folder, store: LocalStore) -> None:
    store.write(NAME, FIRST, None)
    with pytest.raises(CatalogueError, match="memory"):
        store.write(NAME, b"[changes.a]\nmemry = 1\n", digest_of(FIRST))
    assert (read(folder), len(edits(folder))) == (FIRST, 1)


def test_an_undo_that_would_break_the_catalogue_is_refused(folder: Folder, store: LocalStore) -> None:
    store.write("models.d/1.toml", b'[models.b]\nengine = "command"\ncommand = ["x", "{port}"]\n', None)
    store.write(NAME, b"[changes.b]\npinned = true\n", None)
    with pytest.raises(CatalogueError, match='no model "b"'):
        store.toggle(1)
    assert read_catalogue(folder.catalogue).models["b"].pinned


def test_of_two_writers_one_wins(folder: Folder, store: LocalStore) -> None:
    store.write(NAME, FIRST, None)

    def write(number: int) -> bool:
        try:
            LocalStore(folder.catalogue).write(NAME, b"# %d\n" % number, digest_of(FIRST))
        except EditConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        wins = list(pool.map(write, range(8)))
    assert wins.count(True) == 1
    assert read(folder) == b"# %d\n" % wins.index(True)


def test_two_files_that_are_invalid_together_are_not_both_written(folder: Folder) -> None:
    def write(number: int) -> bool:
        text = b'[models.b]\nengine = "command"\ncommand = ["x", "{port}"]\n'
        try:
            LocalStore(folder.catalogue).write(f"models.d/{number}.toml", text, None)
        except CatalogueError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(write, range(4))).count(True) == 1
    read_catalogue(folder.catalogue)


def test_a_link_is_not_followed(folder: Folder, store: LocalStore, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_bytes(FIRST)
    (folder.path / "models.d").mkdir()
    (folder.path / NAME).symlink_to(target)
    for digest in (None, digest_of(FIRST)):
        with pytest.raises(InvalidRequest, match="link to"):
            store.write(NAME, SECOND, digest)
    assert target.read_bytes() == FIRST


def test_mode_and_owner_stay_and_the_record_is_as_private(folder: Folder, store: LocalStore) -> None:
    file = folder.write(NAME, FIRST)
    file.chmod(0o640)
    os.chown(file, 1, 2)
    store.write(NAME, SECOND, digest_of(FIRST))
    found = file.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1, 2, 0o640)
    [record] = (folder.path / "models.d" / ".edits").iterdir()
    assert stat.S_IMODE(record.stat().st_mode) == 0o640


def test_a_new_file_can_be_read_by_who_reads_the_catalogue(folder: Folder, store: LocalStore) -> None:
    folder.catalogue.chmod(0o644)
    old = os.umask(0o077)
    try:
        store.write(NAME, FIRST, None)
    finally:
        os.umask(old)
    assert stat.S_IMODE((folder.path / NAME).stat().st_mode) == 0o644


def test_old_edits_are_forgotten(folder: Folder, store: LocalStore) -> None:
    text: bytes | None = None
    for number in range(MAX_EDITS + 5):
        new = b"# %d\n" % number
        store.write(NAME, new, digest_or_none(text))
        text = new
    assert [edit.id for edit in edits(folder)] == list(range(MAX_EDITS + 5, 5, -1))


def test_an_edit_is_taken_back(folder: Folder, store: LocalStore) -> None:
    store.write(NAME, FIRST, None)
    edit = store.write(NAME, SECOND, digest_of(FIRST))
    store.take_back(edit.id, is_toggled=False)
    assert (read(folder), [each.id for each in edits(folder)]) == (FIRST, [1])
    store.toggle(1)
    store.take_back(1, is_toggled=True)
    assert (read(folder), edits(folder)[0].undone) == (FIRST, None)


def test_a_summary_says_what_can_be_undone(folder: Folder, store: LocalStore) -> None:
    store.write(NAME, FIRST, None)
    store.write(NAME, FIRST + b"warm = false\n", digest_of(FIRST))
    newest, first = edits(folder)
    current = digest_or_none(read(folder))
    listed = summarize(newest, current)
    assert (listed.kind, listed.added, listed.removed) == ("changed", 1, 0)
    assert (listed.can_undo, listed.can_redo) == (True, False)
    assert not summarize(first, current).can_undo


def test_who_may_not_write_gets_the_command() -> None:
    with tempfile.TemporaryDirectory(prefix="sparkd-edit-") as made:
        Path(made).chmod(0o755)
        catalogue = Path(made) / "models.toml"
        catalogue.write_text("")
        catalogue.chmod(0o644)
        (Path(made) / "models.d").mkdir(mode=0o755)
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:  # without root's rights
            os.setgid(65534)
            os.setuid(65534)
            try:
                LocalStore(catalogue).write(NAME, b"", None)
            except CatalogueNotWritable as error:
                os.write(writing, error.message.encode())
            os._exit(0)
        os.waitpid(child, 0)
        os.close(writing)
        message = os.read(reading, 4096).decode()
        os.close(reading)
        assert "Run `sparkctl edit` as its owner" in message


def test_a_full_disk_leaves_the_old_text(folder: Folder) -> None:
    drop_ins = folder.path / "models.d"
    drop_ins.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", drop_ins], check=True)
    try:
        store = LocalStore(folder.catalogue)
        store.write(NAME, FIRST, None)
        big = b"#" * 60_000 + b"\n"
        with pytest.raises(EditFailed, match="Free some space"):
            store.write(NAME, big, digest_of(FIRST))
        assert read(folder) == FIRST
        assert store.toggle(None).current is None
    finally:
        subprocess.run(["umount", drop_ins], check=True)


WRITER = """
import sys
from pathlib import Path
from sparkd.editing.edits import digest_or_none
from sparkd.editing.store import LocalStore
catalogue = Path(sys.argv[1])
file = catalogue.parent / "models.d" / "own.toml"
store, number = LocalStore(catalogue), 0
print("ready", flush=True)
while True:
    number += 1
    before = file.read_bytes() if file.exists() else None
    store.write("models.d/own.toml", b"# %d\\n[changes.a]\\npinned = true\\n" % number, digest_or_none(before))
    if number % 3 == 0:
        store.toggle(None)
"""


def test_a_kill_at_any_moment_leaves_the_old_text_or_the_new_one(folder: Folder) -> None:
    moments = random.Random(15)
    for _ in range(12):
        command = [sys.executable, "-c", WRITER, str(folder.catalogue)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(moments.uniform(0.0, 0.15))
            writer.send_signal(signal.SIGKILL)
        text = read(folder)
        assert text is None or text.endswith(b"pinned = true\n")
        read_catalogue(folder.catalogue)
        journal = edits(folder)
        current = digest_or_none(text)
        # Each record is whole, and the newest is that of the text, unless its own write was cut off.
        records = list((folder.path / "models.d" / ".edits").glob("*.json"))
        assert len(journal) == len(records) - sum(record.stat().st_size == 0 for record in records)
        assert any(
            digest_or_none(side) == current for edit in journal[:3] for side in (edit.before, edit.after)
        )
        store = LocalStore(folder.catalogue)
        store.write(NAME, FIRST, current)
        assert store.toggle(None).current == text
