"""Socket activation, and notifications to a service manager."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx

from tests.e2e.sparkd_process import SparkdProcess, engine

HAND_OVER = "exec env LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=clients {sparkd} 3<&{fd}"
"""Passes a socket as systemd does: as descriptor 3, with the daemon's own PID."""


def test_a_connection_made_before_the_daemon_started_is_answered(folder: Path) -> None:
    sparkd = SparkdProcess(folder, {"models": {"a": engine()}, "server": {"listen": "127.0.0.1:1"}})
    with (
        socket.create_server(("127.0.0.1", 0)) as sock,
        socket.create_connection(sock.getsockname()) as early,
    ):
        early.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        command_line = shlex.join([sys.executable, "-m", "sparkd", "--catalogue", str(sparkd.catalogue)])
        command = HAND_OVER.format(sparkd=command_line, fd=sock.fileno())
        process = subprocess.Popen(
            ["bash", "-c", command], pass_fds=(sock.fileno(),), stderr=subprocess.DEVNULL
        )
        try:
            early.settimeout(60)
            assert early.makefile("rb").read().endswith(b"ok\n")
            port = sock.getsockname()[1]
            body = {"model": "a", "messages": [{"role": "user", "content": "hello"}]}
            answer = httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body, timeout=60)
            assert answer.status_code == 200
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        # The socket outlives the daemon: a new client waits for the next daemon.
        with socket.create_connection(sock.getsockname(), timeout=60):
            pass


def test_keys_are_read_from_a_file_that_was_opened_for_the_daemon(folder: Path) -> None:
    settings = {"listen": "127.0.0.1:0", "api_key_file": "/dev/stdin"}
    sparkd = SparkdProcess(folder, {"models": {"a": engine()}, "server": settings})
    (folder / "keys").write_text("owner: sesame\n")
    with (folder / "keys").open() as keys:
        sparkd.start(stdin=keys)
    try:
        assert sparkd.chat("a").status_code == 401
        answer = httpx.get(f"{sparkd.url}/v1/models", headers={"authorization": "Bearer sesame"})
        assert answer.status_code == 200
    finally:
        assert sparkd.stop() == 0


def test_systemd_is_notified_of_start_and_stop(folder: Path) -> None:
    sparkd = SparkdProcess(folder, {"models": {"a": engine()}})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        manager.settimeout(60)
        environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify")}
        command = [sys.executable, "-m", "sparkd", "--catalogue", str(sparkd.catalogue)]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            assert manager.recv(1024) == b"READY=1"
            assert manager.recv(1024) == b"STATUS=ready \xc2\xb7 nothing resident \xc2\xb7 10 GiB free"
            process.send_signal(signal.SIGTERM)
            assert manager.recv(1024) == b"STOPPING=1"
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_a_new_program_notifies_the_service_manager_and_engines_cannot(folder: Path) -> None:
    sparkd = SparkdProcess(folder, {"models": {"a": engine()}, "server": {"listen": "127.0.0.1:0"}})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        manager.settimeout(60)
        sparkd.start({**os.environ, "NOTIFY_SOCKET": str(folder / "notify")})
        try:
            assert sparkd.chat("a").status_code == 200
            for process in sparkd.processes():
                assert "NOTIFY_SOCKET" not in process.environ()
            assert manager.recv(1024) == b"READY=1"
            assert sparkd.sparkctl("reexec").returncode == 0, sparkd.log()
            while manager.recv(1024) != b"READY=1":
                pass
        finally:
            assert sparkd.stop() == 0
