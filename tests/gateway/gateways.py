"""The gateway of the tests: the real one on a real socket, engines that are raw asyncio servers, a small supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from sparkd.catalog import Catalogue
from sparkd.catalog.client_rules import ClientRule
from sparkd.catalog.definitions import Model
from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.reading.keys import Keys
from sparkd.catalog.settings import Settings
from sparkd.catalog.templates import UNKNOWN_TEMPLATE
from sparkd.errors import HoldNotFound, Refusal
from sparkd.gateway import Gateway
from sparkd.gateway.connections.server import HttpServer
from sparkd.hub.messages import Progress
from sparkd.scheduling.claim import PLAIN_CLAIM, Claim
from sparkd.scheduling.forecast import Forecast
from sparkd.scheduling.hold import Hold
from sparkd.scheduling.lifecycle import Residency
from sparkd.scheduling.model_state import ModelState
from sparkd.scheduling.status import ALL_MODELS, MemoryStatus, ModelChoice, ModelStatus, QueueStatus, Status
from sparkd.upstream.client import EngineRequest, Upstream
from tests.gateway.engines import OK, Answer, Engine, Script, answering, read_answer


def run(test: Callable[[], Awaitable[None]], limit: float = 10.0) -> None:
    """Run an asynchronous test on the loop that production uses."""

    async def limited() -> None:
        async with asyncio.timeout(limit):
            await test()

    uvloop.run(limited())


def model(id_: str, **fields: object) -> Model:
    """A model with timeouts that nothing here looks at."""
    given = {"idle_timeout": 1.0, "start_timeout": 1.0, "stop_grace": 1.0, "drain_timeout": 1.0}
    return Model(**(given | {"id": id_, "min_residency": 1.0, "download": "reject"} | fields))  # type: ignore[arg-type]


def catalogue(
    *models: Model,
    settings: Settings | None = None,
    choices: Mapping[str, tuple[str, ...]] | None = None,
    keys: Iterable[KeyRules] = (),
    clients: Iterable[ClientRule] = (),
) -> Catalogue:
    """A catalogue of these, or of one model `m` with the alias `org/alias`."""
    chosen = models or (model("m", aliases=("org/alias", "short"), context_length=4096),)
    return Catalogue(
        path=Path("models.toml"),
        settings=settings or Settings(),
        models={entry.id: entry for entry in chosen},
        runtimes={},
        choices=choices or {},
        keys={rules.name: rules for rules in keys},
        clients=tuple(clients),
    )


class Lease:
    """A lease of a `Supervisor`."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._is_held = False
        self.upstream = supervisor.upstream

    def request(self) -> bool:
        """Granted at once where the model is ready."""
        if not self._supervisor.ready.is_set() or self._supervisor.refusal is not None:
            return False
        self._hold()
        return True

    async def wait(self) -> None:
        """Wait in line, then hold."""
        if self._is_held:
            return
        supervisor = self._supervisor
        supervisor.waiting += 1
        try:
            if not supervisor.ready.is_set():
                await supervisor.ready.wait()
            if supervisor.refusal is not None:
                raise supervisor.refusal
        finally:
            supervisor.waiting -= 1
        self._hold()

    def forecast(self) -> Forecast:
        """As set by the test; otherwise nothing is known."""
        return self._supervisor.forecast or Forecast(model=self._supervisor.asked[-1], stage="queued")

    def load_began(self) -> float | None:
        """As set by the test."""
        return self._supervisor.load_began

    def load_seconds(self, since: float, until: float) -> float:
        """Since the test has set that the model loads."""
        began = self._supervisor.load_began
        return 0.0 if began is None else max(0.0, until - max(since, began))

    def release(self, status: int = 0) -> None:
        """Hold no longer."""
        self._supervisor.outcomes.append(status)
        self._supervisor.held -= self._is_held
        self._is_held = False

    def _hold(self) -> None:
        self._is_held = True
        self._supervisor.granted += 1
        self._supervisor.held += 1


@dataclass
class Holds:
    """Holds without a scheduler."""

    begun: list[Hold] = field(default_factory=list)

    def begin(
        self, wanted: Model, seconds: float, *, owner: str = "", job: str = "", reason: str = ""
    ) -> Hold:
        """Added."""
        hold = Hold(
            id=f"hold-{len(self.begun)}",
            model=wanted.id,
            ends=time.monotonic() + seconds,
            until=time.time() + seconds,
            owner=owner,
            job=job,
            reason=reason,
        )
        self.begun.append(hold)
        return hold

    def find(self, hold_id: str) -> Hold:
        """One of them."""
        for hold in self.begun:
            if hold.id == hold_id:
                return hold
        raise HoldNotFound("There is none.")

    def end(self, hold_id: str, by: str) -> Hold:  # noqa: ARG002
        """Removed."""
        hold = self.find(hold_id)
        self.begun.remove(hold)
        return hold

    def all(self) -> list[Hold]:
        """All."""
        return list(self.begun)


@dataclass
class Supervisor:
    """Grants leases of one upstream: at once, when `ready` is set, or never, raising `refusal`."""

    upstream: Upstream
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    refusal: Refusal | None = None
    waiting: int = 0
    granted: int = 0
    held: int = 0
    asked: list[str] = field(default_factory=list)
    residencies: dict[str, Residency] = field(default_factory=dict)
    startable: set[str] = field(default_factory=set)
    claims: list[Claim] = field(default_factory=list)
    outcomes: list[int] = field(default_factory=list)
    forecast: Forecast | None = None
    pulled: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    holds: Holds = field(default_factory=Holds)
    loads: list[tuple[str, float | None]] = field(default_factory=list)
    loaded: set[str] | None = None
    unfit: set[str] = field(default_factory=set)
    progress: Progress | None = None
    statuses: tuple[ModelStatus, ...] = ()
    load_began: float | None = None
    download: Callable[[], Awaitable[None]] | None = None

    def residency(self, wanted: Model) -> Residency:
        """As set by the test; models are unloaded."""
        return self.residencies.get(wanted.id, "unloaded")

    @property
    def downloads(self) -> Supervisor:
        """Itself: it downloads what a test asks for."""
        return self

    async def pull(self, wanted: Model) -> None:
        """As slow as the test wants, with progress."""
        self.pulled.append(wanted.id)
        if self.download is not None:
            await self.download()

    def progress_of(self, _: Model) -> Progress | None:
        """As set by the test."""
        return self.progress

    def status(self, model: ModelChoice = ALL_MODELS) -> Status:  # noqa: ARG002
        """The models whose status the test has set."""
        memory = MemoryStatus(total=0, reserve=0, budget=0, reserved=0)
        queue = QueueStatus(waiting=0, max_length=1, on_busy="wait")
        return Status(
            version="0", pid=1, uptime=1.0, listen=(), memory=memory, queue=queue, models=self.statuses
        )

    async def stop(self, wanted: Model) -> None:
        """Recorded."""
        self.stopped.append(wanted.id)

    def can_load(self, wanted: Model) -> bool:
        """Whether it is not among those that do not fit."""
        return wanted.id not in self.unfit

    def begin_load(self, wanted: Model, claim: Claim = PLAIN_CLAIM) -> None:
        """Recorded."""
        self.loads.append((wanted.id, claim.keep_alive))

    def unload(self, wanted: Model) -> None:
        """Recorded."""
        self.stopped.append(wanted.id)

    def state(self, wanted: Model) -> ModelState:
        """The same, without more details."""
        residency = self.residency(wanted)
        return ModelState(state=residency, residency=residency)

    def lease(self, wanted: Model, request: EngineRequest | None, claim: Claim) -> Lease:  # noqa: ARG002
        """A lease that has not been requested yet."""
        self.claims.append(claim)
        self.asked.append(wanted.id)
        return Lease(self)

    def can_start_without_eviction(self, wanted: Model) -> bool:
        """As set by the test."""
        return wanted.id in self.startable

    def ready_upstream(self, wanted: Model) -> Upstream | None:
        """The upstream, once ready, unless the test has set that this model is not loaded, or which models are."""
        is_loaded = self.residencies.get(wanted.id, "loaded") == "loaded"
        if self.loaded is not None:
            is_loaded = wanted.id in self.loaded
        return self.upstream if self.ready.is_set() and is_loaded else None


async def until(condition: Callable[[], bool], within: float = 5.0) -> None:
    """Wait until a condition holds; fails after `within` seconds."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < within, "too late"
        await asyncio.sleep(0.002)


@dataclass
class House:
    """A running gateway with one engine behind it."""

    port: int
    engine: Engine
    supervisor: Supervisor
    server: HttpServer
    gateway: Gateway
    listener: socket.socket
    clients: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where clients go."""
        return f"http://127.0.0.1:{self.port}"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A raw connection to the gateway."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
        self.clients.append(writer)
        return reader, writer

    async def ask(self, raw: bytes) -> Answer:
        """Send raw bytes, read one answer."""
        reader, writer = await self.connect()
        writer.write(raw)
        answer = await read_answer(reader, head_only=raw.startswith(b"HEAD "))
        writer.close()
        return answer


@contextlib.asynccontextmanager
async def house(
    script: Script | None = None,
    *,
    models: Catalogue | None = None,
    keys: Keys | None = None,
    ready: bool = True,
    body_stall: float = 60.0,
    head_timeout: float = 30.0,
    keep_alive: float = 75.0,
    shortcut: bool = True,
    upstream: Upstream | None = None,
) -> AsyncIterator[House]:
    """Start an engine with a script, a supervisor and a gateway; in the end nothing of them is left.

    `upstream` is another engine to use instead.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0), backlog=2048) as listener,
    ):
        async with Engine(Path(folder) / "engine.sock", script or answering(OK)) as engine:
            supervisor = Supervisor(upstream or engine.upstream)
            if ready:
                supervisor.ready.set()
            gateway = Gateway(
                models or catalogue(),
                supervisor,
                keys or Keys(),
                template_of=lambda _: UNKNOWN_TEMPLATE,
                body_stall=body_stall,
            )
            server = HttpServer(
                gateway,
                head_timeout=head_timeout,
                keep_alive=keep_alive,
                shortcut=gateway.forward_now if shortcut else None,
            )
            await server.start([listener])
            here = House(listener.getsockname()[1], engine, supervisor, server, gateway, listener)
            try:
                yield here
            finally:
                for client in here.clients:
                    client.close()
                await server.close()
                await supervisor.upstream.close()
            assert supervisor.held == supervisor.waiting == 0
