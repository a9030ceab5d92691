"""The daemon: doors, signals, and the order in which things begin and end."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import gc
import logging
import signal
import sys
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

import uvloop

from sparkd import __version__
from sparkd.app import App, compose
from sparkd.catalog import Catalogue
from sparkd.catalog.addresses import parse_listen
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.continuity.handover import FORMAT, Handover, Held, take
from sparkd.continuity.replacement import end_children, replace
from sparkd.engines import engine_problems
from sparkd.errors import AlreadyRunning, CatalogueError, HandoverError, ListenError, ProbeError
from sparkd.gateway.server import HttpServer
from sparkd.journal.handler import handler
from sparkd.processes.places import Places
from sparkd.scheduling.headline import headline
from sparkd.service import sockets
from sparkd.service.lock import sole_owner
from sparkd.service.signals import hold_back, let_in
from sparkd.service.systemd import Systemd
from sparkd.service.unix_sockets import control_socket

EXIT_FAILED: Final = 1
EXIT_CONFIG: Final = 78
"""EX_CONFIG of sysexits.h: systemd need not restart a daemon that cannot read its catalogue."""

LAST_WORDS: Final = 2.0
"""Seconds that clients have to take what was already answered, once no engine is left."""

SETTLING: Final = 120.0
"""Seconds that models which are stopping have to be gone, so that a successor can take over the others."""

LAST_ARRIVALS: Final = 0.05
"""Seconds that clients whose connection was just accepted have to send their request, and be served."""

logger = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> int:
    """Run the daemon in the foreground until SIGTERM or SIGINT; return its exit status."""
    arguments = sparkd_parser().parse_args(argv)
    if arguments.takes_over is not None:
        return _takes_over(arguments)
    faulthandler.enable()  # a watchdog's SIGABRT then tells where we stood
    logging.basicConfig(handlers=[handler()], level=arguments.log_level.upper())
    status, handover = EXIT_FAILED, None
    try:
        handover = take()
        status = _run(arguments, handover)
    except HandoverError as error:
        print(f"sparkd: {error.message}", file=sys.stderr)  # noqa: T201
    finally:
        if status:  # where we have taken over, engines are there before we serve
            end_children(handover.held.folders if handover else ())
    return status


def _run(arguments: argparse.Namespace, handover: Handover | None) -> int:
    try:
        catalogue = read_catalogue(catalogue_path(arguments.catalogue))
        uvloop.run(_serve(catalogue, handover))
    except CatalogueError as error:
        for problem in error.problems:
            print(f"sparkd: {problem}", file=sys.stderr)  # noqa: T201
        return EXIT_CONFIG
    except (AlreadyRunning, ListenError, ProbeError) as error:
        print(f"sparkd: {error.message}", file=sys.stderr)  # noqa: T201
        return EXIT_FAILED
    return 0


def sparkd_parser() -> argparse.ArgumentParser:
    """Everything that the command line knows; completions are made from it."""
    parser = argparse.ArgumentParser(
        prog="sparkd", description="Serve the catalogue's models; start and stop their engines as needed."
    )
    parser.add_argument("--catalogue", metavar="FILE", help="models.toml to serve")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    parser.add_argument(
        "--takes-over",
        type=int,
        metavar="FORMAT",
        help="only say whether this program could take the place of a sparkd that hands over in that format",
    )
    parser.add_argument("--version", action="version", version=f"sparkd {__version__}")
    return parser


def _takes_over(arguments: argparse.Namespace) -> int:
    """Whether a start would succeed, as far as that can be told beside a running sparkd."""
    try:
        problems = engine_problems(read_catalogue(catalogue_path(arguments.catalogue)))
    except CatalogueError as error:
        problems = error.problems
    if arguments.takes_over != FORMAT:
        problems.append(f"sparkd {__version__} takes over in format {FORMAT}, not {arguments.takes_over}")
    for problem in problems:
        print(problem, file=sys.stderr)  # noqa: T201
    return EXIT_FAILED if problems else 0


async def _serve(catalogue: Catalogue, handover: Handover | None) -> None:
    threads = ThreadPoolExecutor(thread_name_prefix="sparkd", initializer=hold_back)
    asyncio.get_running_loop().set_default_executor(threads)
    run = catalogue.folder("run")
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    places = Places(run, catalogue.folder("state") / "logs")
    with sole_owner(run, handover.lock if handover else None) as lock:
        if places.notice:
            logger.info("%s", places.notice)
        held = handover.held if handover else Held()
        doors = _open_doors(catalogue, handover)
        app = compose(catalogue, places, held)
        going_on = app.succession.resume(held)
        for line in await places.reap(going_on if handover else None):
            logger.warning("%s", line)
        app.reloading.catch_up(held.definitions())
        if handover:
            told = "took over from sparkd %s; engines that go on: %d"
            logger.info(told, handover.version, len(going_on), extra={"fields": {"EVENT": "replaced"}})
        await _Daemon(app, doors, lock).run()


def _open_doors(catalogue: Catalogue, handover: Handover | None) -> sockets.Doors:
    if handover:
        clients, control = (
            [sockets.adopt(door) for door in doors] for doors in (handover.clients, handover.control)
        )
        return sockets.Doors(clients, control)
    doors = sockets.inherited()
    if not doors.clients:
        host, port = parse_listen(catalogue.settings.server.listen)
        doors.clients.append(sockets.listen_tcp(host, port))
    if not doors.control:
        doors.control.append(sockets.listen_unix(control_socket(catalogue.folder("run"))))
    return doors


class _Daemon:
    """From the first open door to the last closed one."""

    def __init__(self, app: App, doors: sockets.Doors, lock: int) -> None:
        self._supervisor = app.supervisor
        self._succession = app.succession
        self._replacement = app.replacement
        self._reloading = app.reloading
        self._reloads: set[asyncio.Task[None]] = set()
        self._doors = doors
        self._lock = lock
        self._gateway = HttpServer(app.gateway, shortcut=app.gateway.forward_now)
        self._control = HttpServer(app.control)
        self._stop = asyncio.Event()
        self._systemd = Systemd()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        let_in()
        tasks = self._supervisor.tasks
        watching = asyncio.create_task(self._supervisor.watch_memory(), name="memory watch")
        tasks.watch(watching)
        await self._open()
        tasks.broken.add_done_callback(lambda _: self._stop.set())
        beating = asyncio.create_task(self._systemd.beat(self._headline), name="systemd's beat")
        tasks.watch(beating)
        await self._until_stopped()
        if tasks.broken.done():
            self._supervisor.abort()
        await self._close()
        beating.cancel()
        watching.cancel()
        if tasks.broken.done():
            tasks.broken.result()

    async def _open(self) -> None:
        self._supervisor.listen = tuple(map(sockets.name, self._doors.clients))
        await self._control.start(self._doors.control)
        await self._gateway.start(self._doors.clients)
        # What lives from here on is short-lived: the collector need never look at modules and catalogue again.
        gc.collect()
        gc.freeze()
        logger.info("sparkd %s listens on %s", __version__, ", ".join(self._supervisor.listen))
        self._systemd.ready()

    async def _until_stopped(self) -> None:
        stop = asyncio.create_task(self._stop.wait(), name="stop")
        while not stop.done():
            replacing = asyncio.create_task(self._replace_when_wanted(), name="replacing")
            await asyncio.wait({stop, replacing}, return_when=asyncio.FIRST_COMPLETED)
            replacing.cancel()
            with suppress(asyncio.CancelledError):
                await replacing

    async def _replace_when_wanted(self) -> None:
        """Let the program that is installed now take our place once somebody wants that. Returns if it cannot."""
        await self._replacement.wanted.wait()
        logger.info("replacing itself: finishing what has begun", extra={"fields": {"EVENT": "replacing"}})
        self._supervisor.replacing = True
        self._gateway.stop_accepting()
        await asyncio.sleep(LAST_ARRIVALS)
        await _within(self._supervisor.catalogue.settings.defaults.drain_timeout, self._gateway.drained())
        self._succession.begin()  # an operator's `load` too: what it has started goes on
        await _within(LAST_WORDS, self._gateway.drained())
        await self._gateway.close()
        if await _within(SETTLING, self._steady()):
            self._control.stop_accepting()
            await _within(LAST_WORDS, self._control.drained())
            await self._control.close()
        await self._replace()
        logger.error("not replaced: a model was still stopping", extra={"fields": {"EVENT": "not-replaced"}})
        self._succession.give_up()
        self._supervisor.replacing = False
        self._replacement.wanted.clear()
        await self._gateway.start(self._doors.clients)
        await self._control.start(self._doors.control)

    async def _replace(self) -> None:
        """Become the next program. Returns if something is still on its way out."""
        hold_back()
        try:
            await asyncio.sleep(LAST_ARRIVALS)  # an order that came before takes effect
            await _within(LAST_WORDS, self._steady())
            # Nothing awaits from here on: what was found is what is passed on.
            if (held := self._succession.hold()) is None:
                return
            self._succession.let_go()
            clients = tuple(door.fileno() for door in self._doors.clients)
            control = tuple(door.fileno() for door in self._doors.control)
            handover = Handover(clients=clients, control=control, lock=self._lock, held=held)
            replace(handover, self._systemd.environment)
        finally:
            let_in()

    async def _steady(self) -> None:
        """Wait until everything can be passed on."""
        while True:
            if self._succession.hold():
                return
            await asyncio.sleep(LAST_ARRIVALS)

    async def _close(self) -> None:
        """Stop taking connections, let what is being answered be answered, end the engines, close."""
        self._systemd.stopping()
        self._gateway.stop_accepting()
        if not self._supervisor.tasks.broken.done():
            await asyncio.sleep(LAST_ARRIVALS)
        await self._supervisor.shut_down()
        for server in (self._gateway, self._control):
            await _within(LAST_WORDS, server.drained())
            await server.close()
        logger.info("stopped")

    def _headline(self) -> str:
        return headline(self._supervisor.status(), stopping=self._stop.is_set())

    def _on_hangup(self) -> None:
        reload = asyncio.create_task(self._read_again(), name="reload")
        self._reloads.add(reload)
        reload.add_done_callback(self._reloads.discard)
        self._supervisor.tasks.watch(reload)

    async def _read_again(self) -> None:
        with suppress(CatalogueError):  # told in the journal
            await self._reloading.reload()

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            logger.warning("%s again: ending every engine now", number.name)
            self._supervisor.abort()
            return
        logger.info("%s: finishing what has begun; again to stop at once", number.name)
        self._stop.set()


async def _within(seconds: float, wish: Coroutine[None, None, None]) -> bool:
    """Whether it came true in time; it is given up otherwise."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wish
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
