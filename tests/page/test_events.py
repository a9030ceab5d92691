"""The event stream of a real sparkd: rights, revoked keys, clients that do not read, and the end of the daemon."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until


def read(answer: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the data of each event."""
    name = ""
    for line in answer.iter_lines():
        key, _, value = line.partition(": ")
        if key == "event":
            name = value
        elif key == "data":
            yield name, json.loads(value)


def open_unread(sparkd: SparkdProcess) -> socket.socket:
    """A connection to the event stream that is never read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", sparkd.port))
    connection.sendall(b"GET /ui/api/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
    return connection


def test_the_first_event_has_everything_and_the_next_ones_what_has_changed(
    build: Build, forwarded: Callable[[SparkdProcess], str]
) -> None:
    sparkd = build({"small": engine()})
    with httpx.stream("GET", f"{forwarded(sparkd)}/events", timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = read(answer)
        name, data = next(events)
        assert name == "snapshot"
        assert set(data) == {"now", "machine", "models", "queue", "in_flight", "finished"}
        assert data["machine"]["rights"] == {"operate": True, "control": True}
        assert data["machine"]["gpu"] is None
        assert (data["models"], data["finished"]) == ({}, [])
        sparkd.chat("small")
        seen: dict[str, Any] = {}
        while not ("finished" in seen and seen.get("models", {}).get("small", {}).get("state") == "ready"):
            name, data = next(events)
            assert name == "change"
            seen |= data
        assert seen["finished"][0]["model"] == "small"
        assert abs(seen["models"]["small"]["since"] - time.time()) < 60


@pytest.mark.parametrize(("role", "operate"), [("view", False), ("operate", True)])
def test_on_the_port_rights_are_those_of_the_key(
    build: Build, folder: Path, role: str, operate: bool
) -> None:
    sparkd = build_with_keys(build, folder, {"someone": role})
    with stream(sparkd, "someone") as answer:
        assert next(read(answer))[1]["machine"]["rights"] == {"operate": operate, "control": False}


def test_a_stream_ends_when_its_key_may_no_longer_see_it(build: Build, folder: Path) -> None:
    sparkd = build_with_keys(build, folder, {"someone": "view"})
    with stream(sparkd, "someone") as answer:
        events = read(answer)
        next(events)
        sparkd.catalogue.write_text(sparkd.catalogue.read_text().replace('"view"', '"ask"'))
        assert sparkd.sparkctl("reload").returncode == 0
        assert [name for name, _ in events if name == "snapshot"] == []  # it ends
    with stream(sparkd, "someone") as answer:
        assert answer.status_code == 403


def test_clients_that_do_not_read_cost_little(build: Build) -> None:
    sparkd = build({"small": engine()})
    sparkd.chat("small")
    process = psutil.Process(sparkd.process.pid)
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(open_unread(sparkd))
        time.sleep(1)
        before = process.memory_info().rss
        for _ in range(60):  # each changes the state
            sparkd.chat("small")
            time.sleep(0.1)
        assert process.memory_info().rss - before < 32 << 20
        began = time.monotonic()
        assert sparkd.status().models
        print(f"100 clients that do not read: {process.memory_info().rss - before} bytes more")
        assert time.monotonic() - began < 60
    assert sparkd.chat("small").status_code == 200


def test_the_daemon_stops_although_pages_are_open(
    build: Build, forwarded: Callable[[SparkdProcess], str]
) -> None:
    sparkd = build({"small": engine()})
    with (
        httpx.stream("GET", f"{forwarded(sparkd)}/ui/api/events", timeout=60) as owner,
        httpx.stream("GET", f"{sparkd.url}/ui/api/events", timeout=60) as reader,
        open_unread(sparkd),
    ):
        streams = [read(owner), read(reader)]
        for events in streams:
            next(events)
        assert sparkd.stop() == 0
        for events in streams:
            assert "snapshot" not in {name for name, _ in events}  # they end


def test_a_replacement_does_not_wait_for_open_pages(build: Build) -> None:
    sparkd = build({"small": engine(drain_timeout=600)}, defaults={"drain_timeout": 600})
    with httpx.stream("GET", f"{sparkd.url}/ui/api/events", timeout=60) as answer, open_unread(sparkd):
        events = read(answer)
        next(events)
        done = sparkd.sparkctl("reexec")
        assert done.returncode == 0, done.stderr
        assert list(events) is not None
    wait_until("sparkd was replaced", lambda: sparkd.status().replacements == 1)


def build_with_keys(build: Build, folder: Path, roles: dict[str, str]) -> SparkdProcess:
    """A sparkd with a key for each name, which is the name twice."""
    (folder / "keys").write_text("".join(f"{name}: {name}{name}\n" for name in roles))
    return build(
        {"small": engine()},
        server={"listen": "127.0.0.1:0", "api_key_file": "keys"},
        keys={name: {"role": role} for name, role in roles.items()},
    )


def stream(sparkd: SparkdProcess, name: str) -> Any:
    headers = {"authorization": f"Bearer {name}{name}"}
    return httpx.stream("GET", f"{sparkd.url}/ui/api/events", headers=headers, timeout=60)
