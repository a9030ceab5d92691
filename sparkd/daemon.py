"""The daemon: doors, signals, and the order in which things begin and end."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import gc
import logging
import signal
import sys
from contextlib import suppress
from typing import Final

import uvloop

from sparkd import __version__
from sparkd.app import App, compose
from sparkd.catalog import Catalogue, read_catalogue
from sparkd.catalog.addresses import parse_listen
from sparkd.catalog.locations import catalogue_path, control_socket
from sparkd.errors import AlreadyRunning, CatalogueError, ListenError, ProbeError
from sparkd.gateway.server import GatewayServer
from sparkd.machine import sockets
from sparkd.machine.journal import handler
from sparkd.machine.lock import sole_owner
from sparkd.machine.places import Places
from sparkd.machine.systemd import Systemd
from sparkd.scheduling.headline import headline

EXIT_FAILED: Final = 1
EXIT_CONFIG: Final = 78
"""EX_CONFIG of sysexits.h: systemd need not restart a daemon that cannot read its catalogue."""

LAST_WORDS: Final = 2.0
"""Seconds that clients have to take what was already answered, once no engine is left."""

LAST_ARRIVALS: Final = 0.05
"""Seconds that clients whose connection was just accepted have to send their request, and be served."""

journal = logging.getLogger("sparkd.daemon")


def main(argv: list[str] | None = None) -> int:
    """Run the daemon in the foreground until SIGTERM or SIGINT; return its exit status."""
    arguments = _arguments(argv)
    faulthandler.enable()  # a watchdog's SIGABRT then tells where we stood
    logging.basicConfig(handlers=[handler()], level=arguments.log_level.upper())
    try:
        catalogue = read_catalogue(catalogue_path(arguments.catalogue))
        uvloop.run(_serve(catalogue))
    except CatalogueError as error:
        for problem in error.problems:
            print(f"sparkd: {problem}", file=sys.stderr)  # noqa: T201
        return EXIT_CONFIG
    except (AlreadyRunning, ListenError, ProbeError) as error:
        print(f"sparkd: {error.message}", file=sys.stderr)  # noqa: T201
        return EXIT_FAILED
    return 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="sparkd", description="Serve the catalogue's models; start and stop their engines as needed."
    )
    parser.add_argument("--catalogue", metavar="FILE", help="models.toml to serve")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    parser.add_argument("--version", action="version", version=f"sparkd {__version__}")
    return parser.parse_args(argv)


async def _serve(catalogue: Catalogue) -> None:
    run = catalogue.folder("run")
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    places = Places(run, catalogue.folder("state") / "logs")
    with sole_owner(run):
        if places.notice:
            journal.info("%s", places.notice)
        for line in await places.reap():
            journal.warning("%s", line)
        app = compose(catalogue, places)
        doors = _open_doors(catalogue)
        await _Daemon(app, doors).run()


def _open_doors(catalogue: Catalogue) -> sockets.Inherited:
    doors = sockets.inherited()
    if not doors.clients:
        host, port = parse_listen(catalogue.settings.server.listen)
        doors.clients.append(sockets.listen_tcp(host, port))
    if not doors.control:
        doors.control.append(sockets.listen_unix(control_socket(catalogue.folder("run"))))
    return doors


class _Daemon:
    """From the first open door to the last closed one."""

    def __init__(self, app: App, doors: sockets.Inherited) -> None:
        self._supervisor = app.supervisor
        self._reloading = app.reloading
        self._reloads: set[asyncio.Task[None]] = set()
        self._doors = doors
        self._gateway = GatewayServer(app.gateway)
        self._control = GatewayServer(app.control)
        self._stop = asyncio.Event()
        self._systemd = Systemd()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        watching = asyncio.create_task(self._supervisor.watch_memory(), name="memory watch")
        watching.add_done_callback(self._supervisor.finished)
        await self._open()
        self._supervisor.broken.add_done_callback(lambda _: self._stop.set())
        beating = asyncio.create_task(self._systemd.beat(self._headline), name="systemd's beat")
        beating.add_done_callback(self._supervisor.finished)
        await self._stop.wait()
        if self._supervisor.broken.done():
            self._supervisor.abort()
        await self._close()
        beating.cancel()
        watching.cancel()
        if self._supervisor.broken.done():
            self._supervisor.broken.result()

    async def _open(self) -> None:
        self._supervisor.listen = tuple(map(sockets.name, self._doors.clients))
        self._control.start(self._doors.control)
        self._gateway.start(self._doors.clients)
        # What lives from here on is short-lived: the collector need never look at modules and catalogue again.
        gc.collect()
        gc.freeze()
        journal.info("sparkd %s listens on %s", __version__, ", ".join(self._supervisor.listen))
        self._systemd.ready()

    async def _close(self) -> None:
        """Stop taking connections, let what is being answered be answered, end the engines, close."""
        self._systemd.stopping()
        self._gateway.stop_accepting()
        if not self._supervisor.broken.done():
            await asyncio.sleep(LAST_ARRIVALS)
        await self._supervisor.shut_down()
        for server in (self._gateway, self._control):
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await server.drained()
            await server.close()
        journal.info("stopped")

    def _headline(self) -> str:
        return headline(self._supervisor.status(), stopping=self._stop.is_set())

    def _on_hangup(self) -> None:
        reload = asyncio.create_task(self._read_again(), name="reload")
        self._reloads.add(reload)
        reload.add_done_callback(self._reloads.discard)
        reload.add_done_callback(self._supervisor.finished)

    async def _read_again(self) -> None:
        with suppress(CatalogueError):  # told in the journal
            await self._reloading.reload()

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            journal.warning("%s again: ending every engine now", number.name)
            self._supervisor.abort()
            return
        journal.info("%s: finishing what has begun; again to stop at once", number.name)
        self._stop.set()


if __name__ == "__main__":
    sys.exit(main())
