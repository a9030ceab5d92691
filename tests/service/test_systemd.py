"""What is sent to systemd, received by a datagram socket such as systemd's own."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from sparkd.service.systemd import VARIABLES, Systemd


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket of a service manager, which NOTIFY_SOCKET names."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield bound


@contextmanager
def notifying() -> Iterator[Systemd]:
    """Notify the service manager that the environment names."""
    systemd = Systemd()
    try:
        yield systemd
    finally:
        systemd.close()


def heartbeats(systemd: Systemd, manager: socket.socket, count: int, status: str = "ready") -> list[str]:
    """Return the first messages that heartbeats send."""

    async def receive() -> list[str]:
        sending = asyncio.create_task(systemd.send_heartbeats(lambda: status))
        messages = [await asyncio.to_thread(manager.recv, 4096) for _ in range(count)]
        sending.cancel()
        return [message.decode() for message in messages]

    return asyncio.run(receive())


def test_ready_and_stopping_are_reported(manager: socket.socket) -> None:
    with notifying() as systemd:
        systemd.report_ready()
        systemd.report_stopping()
    assert manager.recv(100) == b"READY=1"
    assert manager.recv(100) == b"STOPPING=1"


def test_the_status_arrives_in_utf_8(manager: socket.socket) -> None:
    status = "ready · “größer” 模型 🚀"
    with notifying() as systemd:
        assert heartbeats(systemd, manager, 1, status) == [f"STATUS={status}"]


def test_a_full_queue_does_not_block(manager: socket.socket) -> None:
    with notifying() as systemd:

        def fill() -> None:
            for _ in range(10_000):  # far more than net.unix.max_dgram_qlen
                systemd.report_ready()

        filling = threading.Thread(target=fill, daemon=True)
        filling.start()
        filling.join(30)
        assert not filling.is_alive()
        manager.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                assert manager.recv(100) == b"READY=1"
        systemd.report_stopping()  # the queue has room again
        assert manager.recv(100) == b"STOPPING=1"


def test_a_watchdog_gets_heartbeats(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    with notifying() as systemd:
        assert heartbeats(systemd, manager, 3) == ["WATCHDOG=1\nSTATUS=ready", "WATCHDOG=1", "WATCHDOG=1"]


@pytest.mark.parametrize(
    "variables", [{"WATCHDOG_USEC": "30000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "x"}]
)
def test_a_watchdog_of_another_process_gets_none(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with notifying() as systemd:
        assert heartbeats(systemd, manager, 1) == ["STATUS=ready"]


def test_each_heartbeat_of_a_stop_asks_for_more_time(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    more = "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=30000000"
    with notifying() as systemd:
        systemd.report_stopping()
        assert heartbeats(systemd, manager, 3) == ["STOPPING=1", f"{more}\nSTATUS=ready", more]


@pytest.mark.usefixtures("manager")
def test_engines_do_not_inherit_the_variables_and_a_re_exec_gets_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    given = {name: os.environ[name] for name in VARIABLES}
    with notifying() as systemd:
        assert not set(VARIABLES) & set(os.environ)
        assert systemd.environment == given


def test_a_name_that_begins_with_an_at_sign_is_an_abstract_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("")  # the kernel chooses an abstract address
        manager.settimeout(20)
        address = manager.getsockname()
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + address[1:].decode())
        with notifying() as systemd:
            systemd.report_ready()
        assert manager.recv(100) == b"READY=1"


def test_without_a_service_manager_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    systemd = Systemd()
    systemd.report_ready()
    asyncio.run(asyncio.wait_for(systemd.send_heartbeats(lambda: "ready"), 60))
    assert systemd.environment == {}
