"""What sparkctl says when the daemon is not there, is somebody else's, or is something else."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import clean_environment, command, sparkctl
from tests.control.fake_supervisor import FakeDaemon, serve_fake_daemon


def test_no_daemon_is_3_and_says_how_to_start_it(tmp_path: Path) -> None:
    result = sparkctl("status", "--socket", tmp_path / "control.sock")
    assert (result.code, result.out) == (3, "")
    assert result.err == (
        f"sparkctl: sparkd is not running: there is no control socket {tmp_path}/control.sock; "
        "start it with `systemctl start sparkd`, or name its socket with --socket or SPARKD_SOCKET\n"
    )


def test_a_socket_that_a_killed_daemon_left_is_3(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "control.sock"))
    result = sparkctl("load", "qwen", "--json", "--socket", tmp_path / "control.sock")
    assert result.code == 3
    error = json.loads(result.err)["error"]
    assert error["code"] == "daemon_unreachable"
    assert "nothing listens at" in error["message"]


def test_without_a_catalogue_it_says_where_it_looked(tmp_path: Path) -> None:
    result = sparkctl("status", cwd=tmp_path)
    assert result.code == 3
    assert f"{tmp_path}/models.toml" in result.err
    assert "--socket or SPARKD_SOCKET" in result.err


def test_a_folder_with_a_path_too_long_for_sockets_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    absent = sparkctl("status", "--socket", folder / "control.sock")
    assert (absent.code, "there is no control socket" in absent.err) == (3, True)
    folder.mkdir()
    with serve_fake_daemon(folder) as served:
        assert sparkctl("status", "--socket", served.socket).code == 0


@pytest.fixture
def run_as_nobody(served: FakeDaemon) -> list[str]:
    """A prefix that runs a command as a user who may not open the stand-in's socket."""
    served.socket.chmod(0o600)
    if os.geteuid() != 0:
        served.socket.chmod(0o000)  # our own socket, shut for ourselves too
        return []
    for folder in served.socket.parents:
        if folder.stat().st_uid == 0 and folder.stat().st_mode & 0o77 == 0:
            folder.chmod(0o711)
    return ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


def test_somebody_else_s_socket_is_6_and_names_its_owner(
    served: FakeDaemon, run_as_nobody: list[str]
) -> None:
    result = subprocess.run(
        [*run_as_nobody, *command("status", "--socket", served.socket)],
        capture_output=True,
        env=clean_environment(),
        text=True,
        check=False,
    )
    assert result.returncode == 6
    assert f"belongs to {served.socket.owner()}; run the command with sudo, or as that user" in result.stderr


@contextlib.contextmanager
def serve_response(path: Path, answer: bytes) -> Iterator[Path]:
    """Something that listens at `path`, says `answer` to whoever writes to it, and hangs up."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection = listener.accept()[0]
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield path
        thread.join()


def build_response(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    "answer",
    [
        b"220 mail.example ESMTP\r\n\r\n",
        build_response("200 OK", "<html>welcome</html>"),
        build_response("200 OK", '{"hello": "world"}'),
        build_response("404 Not Found", "404 page not found"),
        build_response("500 Internal Server Error", '{"error": "something else"}'),
    ],
)
def test_something_that_is_not_sparkd_is_3(tmp_path: Path, answer: bytes) -> None:
    with serve_response(tmp_path / "s", answer) as path:
        result = sparkctl("status", "--socket", path)
    assert result.code == 3
    assert result.err == f"sparkctl: the program at {path} is not sparkd, or an incompatible version of it\n"


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", b"HTTP/1.1 200 OK\r\ntransfer-encoding:"],
)
def test_a_daemon_that_breaks_off_is_3(tmp_path: Path, answer: bytes) -> None:
    with serve_response(tmp_path / "s", answer) as path:
        result = sparkctl("status", "--socket", path)
    assert result.code == 3
    assert result.err == f"sparkctl: the connection to {path} broke off; sparkd may have stopped\n"


def test_a_followed_log_whose_daemon_dies_is_3_after_what_was_read(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    with serve_response(tmp_path / "s", head + b"4\r\none\n\r\n3\r\ntwo\r\n") as path:
        result = sparkctl("logs", "-f", "qwen", "--socket", path)
    assert (result.code, result.out) == (3, "one\n")
    assert "broke off" in result.err
