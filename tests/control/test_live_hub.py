"""The hub of the live state: one reading for all, slow clients, changes only, ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from msgspec import structs
from starlette.routing import Route
from starlette.types import Message

from sparkd.control.live.changes import HEARTBEAT, find_changes, make_snapshot
from sparkd.control.live.hub import MAX_PENDING, Listener, LiveHub
from sparkd.control.live.loads import SteadyEstimates, join_phases
from sparkd.control.live.state import LiveMachine, LiveMemory, LiveModel, LiveQueue, LiveState
from sparkd.control.live.stream import event_routes
from sparkd.control.viewer import OWNER, Rights, Viewer
from sparkd.gateway.responses.response_writer import EXTENSION
from sparkd.learning.load_estimates import LoadEstimate

MEMORY = LiveMemory(
    kind="unified", total=128, reserve=8, budget=120, reserved=0, models=0, launchers=0, leaked=0, floor=2
)
STATE = LiveState(
    machine=LiveMachine(
        name="spark", version="1", pid=1, uptime_since=1.0, state="serving", listen=(), memory=MEMORY
    ),
    models={},
    queue=LiveQueue(waiting=0, max_length=10, on_busy="wait"),
)


def with_model(state: LiveState, id_: str, **fields: Any) -> LiveState:
    row = LiveModel(**{"id": id_, "state": "ready", "since": 1.0, **fields})
    return structs.replace(state, models={**state.models, id_: row})


def decode(event: bytes) -> tuple[str, dict[str, Any]]:
    name, data, *_ = event.decode().split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


class Reader:
    """Returns `state`, and counts."""

    def __init__(self) -> None:
        self.state = STATE
        self.readings = 0
        self.is_stopping = False

    async def read(self) -> LiveState:
        self.readings += 1
        return self.state

    def mark_stopping(self) -> None:
        self.is_stopping = True


async def next_event(listener: Listener) -> tuple[str, dict[str, Any]]:
    """The next event that is not a heartbeat."""
    while (event := await listener.next()) == HEARTBEAT:
        continue
    assert event is not None
    return decode(event)


def test_only_what_has_changed_is_sent() -> None:
    assert find_changes(STATE, structs.replace(STATE)) is None
    one = with_model(with_model(STATE, "a"), "b")
    other = with_model(with_model(STATE, "a"), "b", in_flight=2)
    event = find_changes(one, other)
    assert event is not None
    name, data = decode(event.encode(OWNER.rights))
    assert (name, set(data)) == ("change", {"now", "models"})
    assert list(data["models"]) == ["b"]
    gone = find_changes(one, with_model(STATE, "a"))
    assert gone is not None
    assert decode(gone.encode(OWNER.rights))[1]["models"] == {"b": None}


def test_rights_are_those_of_the_connection() -> None:
    event = make_snapshot(STATE).event
    assert decode(event.encode(OWNER.rights))[1]["machine"]["rights"] == {"operate": True, "control": True}
    viewing = Rights(operate=False, control=False)
    assert decode(event.encode(viewing))[1]["machine"]["rights"] == {"operate": False, "control": False}


def test_a_hundred_pages_cost_one_reading() -> None:
    async def run() -> None:
        reader = Reader()
        hub = LiveHub(reader)
        task = asyncio.create_task(hub.run())
        listeners = [await hub.listen(OWNER) for _ in range(100)]
        assert reader.readings == 1
        for listener in listeners:
            assert (await next_event(listener))[0] == "snapshot"
        before = reader.readings
        reader.state = with_model(STATE, "a")
        names = {(await next_event(listener))[0] for listener in listeners}
        assert names == {"change"}
        assert reader.readings <= before + 2
        for listener in listeners:
            hub.leave(listener)
        task.cancel()

    asyncio.run(run())


def test_nothing_is_read_while_nobody_listens() -> None:
    async def run() -> None:
        reader = Reader()
        hub = LiveHub(reader)
        task = asyncio.create_task(hub.run())
        listener = await hub.listen(OWNER)
        hub.leave(listener)
        await asyncio.sleep(0.3)
        before = reader.readings
        await asyncio.sleep(0.6)
        assert reader.readings == before
        # A state that is old by now is not sent to the next one.
        reader.state = with_model(STATE, "a")
        assert "a" in (await next_event(await hub.listen(OWNER)))[1]["models"]
        task.cancel()

    asyncio.run(run())


def test_a_client_that_does_not_read_gets_the_whole_state_later() -> None:
    async def run() -> None:
        listener = Listener(OWNER, make_snapshot(STATE))
        assert (await next_event(listener))[0] == "snapshot"
        state = STATE
        for number in range(10 * MAX_PENDING):
            changed = with_model(STATE, "a", in_flight=number)
            event = find_changes(state, changed)
            assert event is not None
            listener.add(event, make_snapshot(changed))
            state = changed
            assert listener.pending <= MAX_PENDING
        name, data = await next_event(listener)
        assert (name, data["models"]["a"]["in_flight"]) == ("snapshot", 10 * MAX_PENDING - 1)
        assert listener.pending == 0

    asyncio.run(run())


def test_a_connection_ends_with_the_daemon_and_with_its_rights() -> None:
    async def run() -> None:
        reader = Reader()
        hub = LiveHub(reader)
        is_current = True
        listener = await hub.listen(Viewer(OWNER.rights, is_current=lambda: is_current))
        assert await listener.next()
        is_current = False
        hub.end_all()
        assert await listener.next() is None
        other = await hub.listen(OWNER)
        hub.close()
        assert reader.is_stopping
        assert await other.next()  # what it had not got yet
        assert await other.next() is None

    asyncio.run(run())


def test_a_silent_connection_has_heartbeats() -> None:
    async def run() -> None:
        listener = Listener(OWNER, make_snapshot(STATE), heartbeat=0.05)
        assert (await next_event(listener))[0] == "snapshot"
        assert await listener.next() == HEARTBEAT

    asyncio.run(run())


class Connection:
    """What the endpoint knows of a client that does not read: `send` waits, and its connection can be aborted."""

    def __init__(self) -> None:
        self.is_aborted = False
        self.client = self.transport = self

    def abort(self) -> None:
        self.is_aborted = True

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def receive(self) -> Message:
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}


def test_a_client_that_does_not_read_does_not_delay_the_end() -> None:
    async def run() -> None:
        hub, connection = LiveHub(Reader()), Connection()
        (route,) = event_routes(hub)
        assert isinstance(route, Route)
        scope = {"type": "http", "method": "GET", "extensions": {EXTENSION: connection}}
        stream = asyncio.create_task(route.endpoint(scope, connection.receive, connection.send))
        await asyncio.sleep(0.05)
        hub.end_all()
        await stream
        assert connection.is_aborted

    asyncio.run(run())


def test_estimates_move_only_noticeably() -> None:
    steady = SteadyEstimates()
    assert steady.settle("x", 1100.0, 1000.0) == 1100.0
    assert steady.settle("x", 1104.0, 1000.0) == 1100.0
    assert steady.settle("x", 1110.0, 1000.0) == 1110.0
    assert steady.settle("x", None, 1000.0) is None
    steady.settle("x", 1100.0, 1000.0)
    steady.keep(set())
    assert steady.values == {}


def test_phases_are_those_it_had_and_those_that_follow() -> None:
    usual = LoadEstimate(60.0, (("importing", 10.0), ("loading weights", 40.0), ("compiling", 10.0)))
    assert [each.name for each in join_phases({}, None, usual)] == [
        "importing",
        "loading weights",
        "compiling",
    ]
    phases = join_phases({"importing": 8.0}, "loading weights", usual)
    assert [(each.name, each.took, each.usual) for each in phases] == [
        ("importing", 8.0, 10.0),
        ("loading weights", None, 40.0),
        ("compiling", None, 10.0),
    ]
    # A phase that earlier loads had before the present one is not still to come.
    assert [each.name for each in join_phases({}, "compiling", usual)] == ["compiling"]
    assert [each.name for each in join_phases({"new": 1.0}, "other", usual)][:2] == ["new", "other"]
    assert join_phases({}, None, None) == ()
