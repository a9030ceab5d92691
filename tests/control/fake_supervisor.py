"""A supervisor without processes, served by a real uvicorn on a real Unix socket.

Its models do what a test tells them to: `loading` holds every load until it is set, `refusals` are raised, logs
are fed line by line.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import uvicorn
from msgspec.structs import replace
from starlette.routing import BaseRoute

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.quantities import GIB
from sparkd.catalog.reading import read_catalogue
from sparkd.control.app import create_control_app
from sparkd.errors import CatalogueError, HoldNotFound
from sparkd.processes.log import Log
from sparkd.scheduling.hold import Hold
from sparkd.scheduling.lifecycle import Residency
from sparkd.scheduling.plan import Plan
from sparkd.scheduling.status import (
    ALL_MODELS,
    LauncherStatus,
    MemoryStatus,
    ModelChoice,
    ModelStatus,
    QueueStatus,
    Reload,
    Status,
)
from sparkd.service.unix_sockets import socket_address
from sparkd.supervising.downloads import Downloads

CATALOGUE = """
[models.qwen]
engine = "command"
command = ["/bin/cat", "{socket}"]
aliases = ["coder", "Qwen/Qwen3"]
memory = "20 GiB"

[models.tiny]
engine = "command"
command = ["/bin/cat", "{socket}"]
memory = "1 GiB"

[models.old]
engine = "command"
command = ["/bin/cat", "{socket}"]
status = "disabled"
reason = "its license ran out"
"""


def write_catalogue(folder: Path, text: str = CATALOGUE) -> Path:
    """The stand-in's catalogue as a file."""
    path = folder / "models.toml"
    path.write_text(text)
    return path


class Holds:
    """Holds without a scheduler."""

    def __init__(self) -> None:
        self.begun: list[Hold] = []

    def begin(
        self, model: Model, seconds: float, *, owner: str = "", job: str = "", reason: str = ""
    ) -> Hold:
        hold = Hold(
            id=f"hold-{len(self.begun)}",
            model=model.id,
            ends=time.monotonic() + seconds,
            until=time.time() + seconds,
            owner=owner,
            job=job,
            reason=reason,
        )
        self.begun.append(hold)
        return hold

    def find(self, hold_id: str) -> Hold:
        for hold in self.begun:
            if hold.id == hold_id:
                return hold
        raise HoldNotFound(f'There is no hold "{hold_id}".')

    def end(self, hold_id: str, by: str) -> Hold:  # noqa: ARG002
        hold = self.find(hold_id)
        self.begun.remove(hold)
        return hold

    def all(self) -> list[Hold]:
        return list(self.begun)


class FakeSupervisor:
    """Plain state where the real one has processes."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.downloads = Downloads(catalogue)
        self.models = {
            model.id: ModelStatus(
                id=model.id,
                state="stopped",
                state_seconds=5.0,
                footprint=model.memory or 0,
                enabled=model.enabled,
            )
            for model in catalogue.models.values()
        }
        self.waiting: list[str] = []
        self.launchers: tuple[LauncherStatus, ...] = ()
        self.exposed: tuple[str, ...] = ()
        self.logs: dict[str, Log] = {}
        self.refusals: dict[str, Exception] = {}
        self.loading = asyncio.Event()
        self.loading.set()
        self.holds = Holds()
        self.reload_problems: list[str] = []

    def set(self, model_id: str, **changes: object) -> None:
        self.models[model_id] = replace(self.models[model_id], **changes)

    def status(self, model: ModelChoice = ALL_MODELS) -> Status:  # noqa: ARG002
        models = tuple(self.models.values())
        reserved = sum(model.footprint for model in models if model.state not in ("stopped", "backoff"))
        return Status(
            version="0.1.0",
            pid=4711,
            uptime=11520.0,
            listen=("127.0.0.1:8009",),
            memory=MemoryStatus(total=120 * GIB, reserve=8 * GIB, budget=112 * GIB, reserved=reserved),
            queue=QueueStatus(waiting=len(self.waiting), max_length=1024, on_busy="wait"),
            models=models,
            launchers=self.launchers,
            exposed=self.exposed,
        )

    def residency(self, model: Model) -> Residency:
        status = self.models.get(model.id)
        return "loaded" if status is not None and status.state == "ready" else "unloaded"

    def plan(self, model: Model) -> Plan:
        return Plan(
            model=model.id,
            verdict="launch",
            footprint=model.memory or 0,
            basis="declared",
            evicts=("tiny",),
            seconds=14.0,
            load_time=12.0,
        )

    async def preview(self, new: Catalogue) -> Reload:
        return Reload(removed=tuple(self.catalogue.models.keys() - new.models.keys()))

    async def reload(self) -> Reload:
        if self.reload_problems:
            raise CatalogueError(self.reload_problems)
        self.catalogue = read_catalogue(self.catalogue.path)
        return Reload(changed=("qwen", "tiny"), restarted=("qwen",))

    async def prepare(self) -> None:
        self.replacing = True

    async def load(self, model: Model) -> None:
        self.waiting.append(model.id)
        try:
            await self.loading.wait()
        finally:
            self.waiting.remove(model.id)
        if model.id in self.refusals:
            raise self.refusals[model.id]
        self.set(model.id, state="ready", state_seconds=0.0, load_time=12.4)

    async def stop(self, model: Model) -> None:
        self.set(model.id, state="stopped", state_seconds=0.0)

    def retry(self, model: Model) -> None:
        self.set(model.id, state="stopped", quarantined=False, cause=None)

    def log(self, model: Model) -> Log | None:
        return self.logs.get(model.id)


class FakeDaemon:
    """A stand-in being served: where, and a way to change it on the loop that owns it."""

    def __init__(self, socket_: Path, supervisor: FakeSupervisor, loop: asyncio.AbstractEventLoop) -> None:
        self.socket = socket_
        self.supervisor = supervisor
        self._loop = loop

    def run_on_loop(self, change: Callable[[], object]) -> None:
        """Do it on the loop's thread, and wait until it is done."""
        done = threading.Event()

        def run() -> None:
            change()
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(60)

    def write_log(self, model_id: str, *lines: str) -> None:
        """Have the model's process print these lines."""

        def write() -> None:
            log = self.supervisor.logs.setdefault(model_id, Log(None))
            for begin in range(0, len(lines), 500):  # a log keeps no more than 1000 lines of one piece
                log.feed("".join(f"{line}\n" for line in lines[begin : begin + 500]).encode())

        self.run_on_loop(write)

    def end_process(self, model_id: str) -> None:
        self.run_on_loop(self.supervisor.logs[model_id].close)


@contextlib.contextmanager
def serve_fake_daemon(
    folder: Path, routes: Callable[[FakeSupervisor], Sequence[BaseRoute]] = lambda _: ()
) -> Iterator[FakeDaemon]:
    """Serve a fresh stand-in at `folder`/control.sock, with further routes."""
    supervisor = FakeSupervisor(read_catalogue(write_catalogue(folder)))
    path = folder / "control.sock"
    listener = socket.socket(socket.AF_UNIX)
    with socket_address(path) as address:
        listener.bind(address)
    config = uvicorn.Config(
        create_control_app(supervisor, supervisor, supervisor, routes(supervisor)),
        lifespan="off",
        log_level="critical",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve(sockets=[listener])

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield FakeDaemon(path, supervisor, loops[0])
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def wait_until(condition: Callable[[], bool], within: float = 60.0) -> None:
    """Wait until `condition()` is; fail after `within` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.01)
