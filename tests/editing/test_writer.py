"""The process that writes for a daemon: one request of the process that is allowed, checked again."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkd.editing.files import digest_of
from sparkd.editing.writer import WriterStore, serve
from sparkd.errors import CatalogueError, CatalogueNotWritable, EditConflict, EditFailed
from tests.catalog.folder import Folder

NAME = "models.d/own.toml"


class Writer:
    """The writer at a socket, as systemd runs it: one connection, one call."""

    def __init__(self, catalogue: Path, path: Path) -> None:
        self.allowed = os.getpid()
        self._catalogue = catalogue
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                serve(connection, self._catalogue, self.allowed)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def writer(folder: Folder) -> Iterator[Writer]:
    started = Writer(folder.catalogue, folder.path / "w.sock")
    yield started
    started.close()


@pytest.fixture
def store(folder: Folder, writer: Writer) -> WriterStore:  # noqa: ARG001 - it must be there
    return WriterStore(folder.path / "w.sock")


def test_it_writes_and_undoes(folder: Folder, store: WriterStore) -> None:
    text = "[changes.a]\ndescription = 'ä'\n".encode()
    assert store.write(NAME, text, None).after == text
    assert (folder.path / NAME).read_bytes() == text
    assert store.toggle(None).current is None
    assert store.toggle(1).current == text
    store.take_back(1, is_toggled=True)
    assert not (folder.path / NAME).exists()


def test_its_errors_are_those_of_a_store(store: WriterStore) -> None:
    store.write(NAME, b"", None)
    with pytest.raises(EditConflict, match="already exists"):
        store.write(NAME, b"", None)
    with pytest.raises(CatalogueError, match="memory") as caught:
        store.write(NAME, b"[changes.a]\nmemry = 1\npined = 1\n", digest_of(b""))
    assert len(caught.value.problems) == 2


def test_another_process_may_not_ask(folder: Folder, writer: Writer, store: WriterStore) -> None:
    writer.allowed = 1
    with pytest.raises((CatalogueNotWritable, EditFailed)):
        store.write(NAME, b"", None)
    assert not (folder.path / NAME).exists()


@pytest.mark.usefixtures("writer")
def test_what_is_not_a_request_changes_nothing(folder: Folder) -> None:
    for data in (b"", b"{}", b"\xff", b'{"type":"write","file":3}', b"[" * 10_000):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(folder.path / "w.sock"))
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            assert b"not a request" in connection.recv(4096)
    assert folder.names() == ["models.toml", "venvs", "w.sock"]


def test_without_a_writer_the_error_names_the_socket(tmp_path: Path) -> None:
    with pytest.raises(EditFailed, match=r"w\.sock"):
        WriterStore(tmp_path / "w.sock").write(NAME, b"", None)
