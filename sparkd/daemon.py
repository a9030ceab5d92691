"""The daemon: listening sockets, signals, and the order of start, replacement and stop."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import gc
import logging
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

import uvloop

from sparkd import __version__
from sparkd.catalog import Catalogue
from sparkd.catalog.addresses import client_addresses
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.composition import App, build_app
from sparkd.continuity.handover import FORMAT, DaemonSnapshot, Handover, read_handover
from sparkd.continuity.replacement import exec_replacement, kill_children
from sparkd.engines import find_engine_problems
from sparkd.errors import AlreadyRunning, CatalogueError, HandoverError, ListenError, ProbeError
from sparkd.gateway.connections.server import HttpServer
from sparkd.journal.handler import make_handler
from sparkd.journal.recent import RecentLines
from sparkd.processes.run_directories import RunDirectories
from sparkd.scheduling.headline import format_headline
from sparkd.scheduling.status import USED_MODELS
from sparkd.service import sockets
from sparkd.service.lock import lock_run_folder
from sparkd.service.signals import block_signals, unblock_signals
from sparkd.service.systemd import Systemd
from sparkd.service.unix_sockets import control_socket
from sparkd.supervising.tasks import finishes_within

EXIT_FAILED: Final = 1
EXIT_CONFIG: Final = 78
"""EX_CONFIG of sysexits.h. systemd does not restart a daemon that cannot read its catalogue."""

FINAL_SEND_TIMEOUT: Final = 2.0
"""Seconds for clients to receive their responses, once no engine is left."""

STOPPING_TIMEOUT: Final = 120.0
"""Seconds to wait for stopping models before a replacement, so that the next program can take over the others."""

ACCEPT_GRACE: Final = 0.05
"""Seconds for clients whose connection was just accepted to send their request."""

logger = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> int:
    """Run the daemon in the foreground until SIGTERM or SIGINT; return its exit status."""
    arguments = sparkd_parser().parse_args(argv)
    if arguments.check_handover is not None:
        return _check_takeover(arguments)
    faulthandler.enable()  # SIGABRT of the watchdog then prints the stack
    recent = RecentLines()
    logging.basicConfig(handlers=[make_handler(), recent], level=arguments.log_level.upper())
    status, handover = EXIT_FAILED, None
    try:
        handover = read_handover()
        status = _run(arguments, handover, recent)
    except HandoverError as error:
        print(f"sparkd: {error.message}", file=sys.stderr)  # noqa: T201
    finally:
        if status:  # after a handover, engines run before the daemon serves
            kill_children(handover.snapshot.folders if handover else ())
    return status


def _run(arguments: argparse.Namespace, handover: Handover | None, recent: RecentLines) -> int:
    try:
        catalogue = read_catalogue(catalogue_path(arguments.catalogue))
        uvloop.run(_serve(catalogue, handover, recent))
    except CatalogueError as error:
        for problem in error.problems:
            print(f"sparkd: {problem}", file=sys.stderr)  # noqa: T201
        return EXIT_CONFIG
    except (AlreadyRunning, ListenError, ProbeError) as error:
        print(f"sparkd: {error.message}", file=sys.stderr)  # noqa: T201
        return EXIT_FAILED
    return 0


def sparkd_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line. The shell completions are generated from it."""
    parser = argparse.ArgumentParser(
        prog="sparkd", description="Serve the catalogue's models; start and stop their engines as needed."
    )
    parser.add_argument("--catalogue", metavar="FILE", help="models.toml to serve")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    parser.add_argument(
        "--check-handover",
        type=int,
        metavar="FORMAT",
        help="only check whether this program could replace a sparkd that hands over in this format",
    )
    parser.add_argument("--version", action="version", version=f"sparkd {__version__}")
    return parser


def _check_takeover(arguments: argparse.Namespace) -> int:
    """Check whether a start would succeed, as far as possible beside a running sparkd; return the exit status."""
    try:
        problems = find_engine_problems(read_catalogue(catalogue_path(arguments.catalogue)))
    except CatalogueError as error:
        problems = error.problems
    if arguments.check_handover != FORMAT:
        problems.append(
            f"sparkd {__version__} reads handover format {FORMAT}, not {arguments.check_handover}"
        )
    for problem in problems:
        print(problem, file=sys.stderr)  # noqa: T201
    return EXIT_FAILED if problems else 0


async def _serve(catalogue: Catalogue, handover: Handover | None, recent: RecentLines) -> None:
    threads = ThreadPoolExecutor(thread_name_prefix="sparkd", initializer=block_signals)
    asyncio.get_running_loop().set_default_executor(threads)
    run = catalogue.folder("run")
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    run_directories = RunDirectories(run, catalogue.folder("state") / "logs")
    with lock_run_folder(run, handover.lock if handover else None) as lock:
        if run_directories.notice:
            logger.info("%s", run_directories.notice)
        snapshot = handover.snapshot if handover else DaemonSnapshot()
        listeners = _open_listeners(catalogue, handover)
        app = build_app(catalogue, run_directories, snapshot, recent)
        resumed = app.succession.resume(snapshot)
        for line in await run_directories.reap_orphans(resumed if handover else None):
            logger.warning("%s", line)
        app.reloader.apply_to_resumed(snapshot.definitions())
        if handover:
            message = "Replaced sparkd %s; engines that keep running: %d"
            logger.info(message, handover.version, len(resumed), extra={"fields": {"EVENT": "replaced"}})
        await _Daemon(app, listeners, lock).run()


def _open_listeners(catalogue: Catalogue, handover: Handover | None) -> sockets.Listeners:
    if handover:
        clients, control = (
            [sockets.adopt_socket(listener) for listener in listeners]
            for listeners in (handover.clients, handover.control)
        )
        return sockets.Listeners(clients, control)
    listeners = sockets.take_systemd_sockets()
    if not listeners.clients:
        for key, addresses in client_addresses(catalogue.settings.server):
            listeners.clients += sockets.listen_tcp(addresses, key)
    if not listeners.control:
        listeners.control.append(sockets.listen_unix(control_socket(catalogue.folder("run"))))
    return listeners


class _Daemon:
    """Runs from the opening of the listening sockets until they are closed."""

    def __init__(self, app: App, listeners: sockets.Listeners, lock: int) -> None:
        self._supervisor = app.supervisor
        self._succession = app.succession
        self._replacement = app.replacement
        self._reloader, self._works, self._live = app.reloader, app.works, app.live
        self._reloads: set[asyncio.Task[None]] = set()
        self._listeners = listeners
        self._lock = lock
        self._gateway = HttpServer(app.gateway, shortcut=app.gateway.forward_now, elsewhere=app.owner)
        self._control = HttpServer(app.control)
        self._stop = asyncio.Event()
        self._systemd = Systemd()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        unblock_signals()
        tasks = self._supervisor.tasks
        self._works.start()
        await self._open()
        self._supervisor.begin_preloading()
        tasks.failure.add_done_callback(lambda _: self._stop.set())
        heartbeat = asyncio.create_task(self._systemd.send_heartbeats(self._headline), name="heartbeats")
        tasks.watch(heartbeat)
        await self._wait_until_stopped()
        if tasks.failure.done():
            self._supervisor.abort()
        await self._close()
        heartbeat.cancel()
        self._systemd.close()
        self._works.cancel()
        if tasks.failure.done():
            tasks.failure.result()

    async def _open(self) -> None:
        self._supervisor.listen = tuple(map(sockets.format_address, self._listeners.clients))
        await self._control.start(self._listeners.control)
        await self._gateway.start(self._listeners.clients)
        # What is created from here on is short-lived. Modules and catalogue are kept: the collector never needs to
        # search them. The start leaves 300 KB of garbage, too little to look for (20 ms).
        gc.freeze()
        gc.enable()
        logger.info("sparkd %s listens on %s", __version__, ", ".join(self._supervisor.listen))
        if exposure := self._supervisor.status(USED_MODELS).describe_exposure():
            logger.warning("%s", exposure, extra={"fields": {"EVENT": "exposed"}})
        self._systemd.report_ready()

    async def _wait_until_stopped(self) -> None:
        stop = asyncio.create_task(self._stop.wait(), name="stop")
        while not stop.done():
            replacing = asyncio.create_task(self._replace_when_requested(), name="replacing")
            await asyncio.wait({stop, replacing}, return_when=asyncio.FIRST_COMPLETED)
            replacing.cancel()
            with suppress(asyncio.CancelledError):
                await replacing

    async def _replace_when_requested(self) -> None:
        """Wait for a request to replace this program, then execute the installed one. Returns if that fails."""
        await self._replacement.requested.wait()
        logger.info(
            "Replacing this program: waiting for current requests", extra={"fields": {"EVENT": "replacing"}}
        )
        self._supervisor.replacing = True
        self._gateway.stop_accepting()
        self._live.end_all()
        await asyncio.sleep(ACCEPT_GRACE)
        await finishes_within(
            self._supervisor.catalogue.settings.defaults.drain_timeout, self._gateway.drained()
        )
        self._succession.begin()  # also rejects a waiting `sparkctl load`; the model that it loads keeps running
        await self._drain(self._gateway)
        if await finishes_within(STOPPING_TIMEOUT, self._wait_until_transferable()):
            self._control.stop_accepting()
            await self._drain(self._control)
        await self._replace()
        logger.error(
            "Not replaced, because a model was still stopping. Try again.",
            extra={"fields": {"EVENT": "not-replaced"}},
        )
        self._succession.cancel()
        self._supervisor.replacing = False
        self._replacement.requested.clear()
        await self._gateway.start(self._listeners.clients)
        await self._control.start(self._listeners.control)

    async def _replace(self) -> None:
        """Execute the next program. Returns if a request is still in progress or a model is still stopping."""
        block_signals()
        try:
            await asyncio.sleep(ACCEPT_GRACE)  # a control request that arrived before takes effect
            await finishes_within(FINAL_SEND_TIMEOUT, self._wait_until_transferable())
            # There is no `await` from here on, so the snapshot stays correct.
            if (snapshot := self._succession.snapshot()) is None:
                return
            self._succession.close()
            self._works.close()
            clients = tuple(listener.fileno() for listener in self._listeners.clients)
            control = tuple(listener.fileno() for listener in self._listeners.control)
            handover = Handover(clients=clients, control=control, lock=self._lock, snapshot=snapshot)
            exec_replacement(handover, self._systemd.environment)
        finally:
            unblock_signals()

    async def _wait_until_transferable(self) -> None:
        """Wait until everything can be handed over."""
        while True:
            if self._succession.snapshot():
                return
            await asyncio.sleep(ACCEPT_GRACE)

    async def _close(self) -> None:
        """Stop accepting connections, finish current requests, stop the engines, close the sockets."""
        self._systemd.report_stopping()
        self._gateway.stop_accepting()
        self._live.close()
        if not self._supervisor.tasks.failure.done():
            await asyncio.sleep(ACCEPT_GRACE)
        await self._supervisor.shut_down()
        for server in (self._gateway, self._control):
            await self._drain(server)
        logger.info("sparkd has stopped")

    async def _drain(self, server: HttpServer) -> None:
        """Let clients receive their last responses, and close their connections."""
        self._live.end_all()
        await finishes_within(FINAL_SEND_TIMEOUT, server.drained())
        await server.close()

    def _headline(self) -> str:
        return format_headline(self._supervisor.status(USED_MODELS), stopping=self._stop.is_set())

    def _on_hangup(self) -> None:
        reload = asyncio.create_task(self._reload_catalogue(), name="reload")
        self._reloads.add(reload)
        reload.add_done_callback(self._reloads.discard)
        self._supervisor.tasks.watch(reload)

    async def _reload_catalogue(self) -> None:
        with suppress(CatalogueError):  # the reloader has logged it
            await self._reloader.reload()

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            logger.warning("%s received again: killing every engine now", number.name)
            self._supervisor.abort()
            return
        logger.info(
            "%s received: stopping after current requests. Send it again to stop at once.", number.name
        )
        self._stop.set()
