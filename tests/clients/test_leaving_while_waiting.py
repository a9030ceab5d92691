"""Clients that leave in each phase of their request, or do not read: nothing of their requests is left."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.clients.waiting.raw import build_body
from tests.clients.waiting.results import STYLES
from tests.clients.waiting.rounds import APIS, open_world
from tests.clients.waiting.world import World
from tests.e2e.sparkd_process import SparkdProcess, wait_until
from tests.hub.server import running_hub, safetensors

HEARTBEATS = {
    "chat": {"chunk": b'"content":""', "comment": b": ", "reasoning": b'"reasoning', "off": b""},
    "messages": dict.fromkeys(STYLES, b"event: ping") | {"off": b""},
}
"""What a heartbeat contains, by API and style."""


@pytest.fixture
def world() -> Iterator[World]:
    with open_world() as world:
        yield world


class Client:
    """A client with a socket of its own. It reads only what it is asked to read."""

    def __init__(self, port: int, api: str, model: str, prompt: str) -> None:
        path, fields = build_body(api, model, prompt)
        body = json.dumps(fields).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        self.seen = b""

    def read_until(self, text: bytes) -> None:
        """Read until that text has arrived."""
        while text not in self.seen:
            data = self._socket.recv(4096)
            assert data, self.seen
            self.seen += data

    def leave(self) -> None:
        """Close the connection, with a reset if there is unread data."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


def assert_nothing_held(sparkd: SparkdProcess) -> None:
    """Check that no request waits or is in flight, by the ledger of the scheduler."""

    def is_empty() -> bool:
        status = sparkd.status()
        return status.queue.waiting == 0 and not any(
            model.waiting or model.in_flight for model in status.models
        )

    wait_until("the ledger is empty", is_empty)


def waiting_for(sparkd: SparkdProcess, model: str) -> None:
    wait_until(f"a request waits for {model}", lambda: sparkd.model(model).waiting)


@contextmanager
def running(world: World, style: str, models: dict[str, Any]) -> Iterator[SparkdProcess]:
    for model in models.values():
        model["heartbeat"] = style
    with world.running(models, memory={"total": "10 GiB", "reserve": 0, "learn": False}) as sparkd:
        yield sparkd


@pytest.mark.parametrize("api", HEARTBEATS)
@pytest.mark.parametrize("style", ["chunk", "reasoning", "off"])
def test_leaving_in_the_queue_the_load_the_prefill_and_the_answer(world: World, style: str, api: str) -> None:
    heartbeat = HEARTBEATS[api][style]
    models = {name: world.model(name, memory="8 GiB") for name in ("first", "second")}
    with running(world, style, models) as sparkd:
        load = Client(sparkd.port, api, "first", "Say hello")
        waiting_for(sparkd, "first")
        load.read_until(heartbeat)
        load.leave()
        assert_nothing_held(sparkd)

        world.gate("first").touch()
        answer = Client(sparkd.port, api, "first", "Stop in the answer")
        answer.read_until(b"The user wants" if api == "chat" else b"thinking_delta")
        queue = Client(sparkd.port, api, "second", "Say hello")
        waiting_for(sparkd, "second")
        queue.read_until(heartbeat)
        queue.leave()
        wait_until("it has left the queue", lambda: sparkd.model("second").waiting == 0)
        assert sparkd.model("first").in_flight == 1
        answer.leave()
        assert_nothing_held(sparkd)

        prefill = Client(sparkd.port, api, "first", "Read for ever")
        wait_until("it is in flight", lambda: sparkd.model("first").in_flight)
        prefill.read_until(heartbeat)
        prefill.leave()
        assert_nothing_held(sparkd)


@pytest.mark.parametrize("style", ["chunk", "off"])
def test_leaving_in_the_download(world: World, style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_hub() as hub:
        data = safetensors(3_000_000)
        hub.add("org/m", {"model.safetensors": data, "config.json": b"{}"})
        hub.faults.hold_after = len(data) // 2
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HOME", str(world.folder))
        model = {**world.model("m"), "source": "org/m", "download": "auto"}
        with running(world, style, {"m": model}) as sparkd:
            client = Client(sparkd.port, "chat", "m", "Say hello")
            waiting_for(sparkd, "m")
            wait_until("it downloads", lambda: sparkd.model("m").phase == "downloading")
            client.read_until(HEARTBEATS["chat"][style])
            client.leave()
            assert_nothing_held(sparkd)
            hub.release()


@pytest.mark.parametrize("api", APIS)
def test_a_client_with_a_small_buffer_gets_the_whole_answer_of_a_slow_engine(world: World, api: str) -> None:
    with running(world, "chunk", {"m": world.model("m")}) as sparkd:
        client = Client(sparkd.port, api, "m", "Answer slowly")
        waiting_for(sparkd, "m")
        client.read_until(b"\r\n\r\n")
        world.gate("m").touch()
        end = {"messages": b"message_stop", "responses": b"response.completed"}.get(api, b"[DONE]")
        client.read_until(end)
        assert client.seen.count(b" the scripted") >= 60
        client.leave()
        assert_nothing_held(sparkd)


def test_a_reader_that_reads_nothing_does_not_hold_others_back(world: World) -> None:
    with running(world, "chunk", {"m": world.model("m")}) as sparkd:
        stuck = Client(sparkd.port, "chat", "m", "Answer slowly")
        waiting_for(sparkd, "m")
        world.gate("m").touch()
        other = Client(sparkd.port, "chat", "m", "Say hello")
        other.read_until(b"[DONE]")
        stuck.leave()
        other.leave()
        assert_nothing_held(sparkd)
