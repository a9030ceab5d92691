"""Where `sparkctl doctor` looks: catalogue, control socket, systemd, /proc, NVML. Nothing it finds ever raises."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx
import psutil

from sparkd import __version__
from sparkd.catalog import Catalogue
from sparkd.catalog.addresses import parse_listen
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.cli import readiness
from sparkd.cli.doctor_facts import (
    Answer,
    Delegation,
    Disk,
    Facts,
    Installed,
    KeyFile,
    Port,
    Unit,
)
from sparkd.cli.doctor_machine import UNITS
from sparkd.cli.folders import free_in
from sparkd.control.client import ControlClient, find_socket
from sparkd.engines import engine_problems
from sparkd.errors import CatalogueError, ControlForbidden, DaemonUnreachable, ProbeError, SparkdError
from sparkd.gateway.keys import STDIN, read_keys
from sparkd.machine.meminfo import MEMINFO
from sparkd.machine.memory import Memory, Probe
from sparkd.machine.nvml import Gpu, Nvml
from sparkd.processes.cgroups import CONTROLLERS, controllers_below, is_delegated, mounted, unit_in
from sparkd.scheduling.memory import floor_of
from sparkd.scheduling.status import Status

SYSTEMD: Final = Path("/run/systemd/system")
"""There exactly where systemd is the machine's init: sd_booted(3)."""

DRIVER: Final = Path("/dev/nvidiactl")
UNIT_KEYS: Final = Path("/etc/sparkd/keys")
"""The file that the unit opens for the daemon as its standard input."""

SYSTEMCTL_TIMEOUT: Final = 5.0
"""Seconds."""


def look(catalogue_given: str | None, socket_given: str | None) -> Facts:
    """Look at everything once. `catalogue_given` and `socket_given` are what the command line names."""
    path, catalogue, problems = _read(catalogue_given)
    answer, says, status = _ask(socket_given, catalogue_given)
    memory, gpu, probe_says = _probe()
    return Facts(
        path=path,
        problems=problems,
        installed=_installed(catalogue, gpu=gpu is not None) if catalogue else None,
        daemon=answer,
        daemon_says=says,
        status=status,
        units=_units(),
        delegation=_delegation(status.pid) if status else None,
        gpu=gpu,
        driver=DRIVER.exists(),
        memory=memory,
        probe_says=probe_says,
        floor=_floor(status, catalogue, memory),
        swapped=_swapped(),
        version=__version__,
    )


def _read(given: str | None) -> tuple[Path | None, Catalogue | None, tuple[str, ...]]:
    path = None
    try:
        path = catalogue_path(given)
        catalogue = read_catalogue(path)
    except CatalogueError as error:
        return path, None, tuple(error.problems)
    return path, catalogue, tuple(engine_problems(catalogue))


def _ask(socket_given: str | None, catalogue_given: str | None) -> tuple[Answer, str, Status | None]:
    try:
        with ControlClient(find_socket(socket_given, catalogue_given)) as client:
            return "running", "", client.status()
    except ControlForbidden as error:
        return "forbidden", error.message, None
    except DaemonUnreachable as error:
        if isinstance(error.__cause__, CatalogueError):
            return "unknown", error.message, None
        absent = isinstance(error.__cause__, OSError | httpx.ConnectError)
        return ("absent" if absent else "strange"), error.message, None
    except SparkdError as error:
        return "strange", error.message, None


def _installed(catalogue: Catalogue, *, gpu: bool) -> Installed:
    enabled = sum(model.enabled for model in catalogue.models.values())
    return Installed(
        enabled=enabled,
        disabled=len(catalogue.models) - enabled,
        key_file=_key_file(catalogue),
        port=_port(catalogue.settings.server.listen),
        disks=tuple(
            Disk(f"paths.{name}", folder, free_in(folder))
            for name, folder in (
                ("models", catalogue.folder("models")),
                ("runtimes", catalogue.folder("runtimes")),
            )
        ),
        readiness=readiness.look(catalogue, gpu=gpu),
    )


def _key_file(catalogue: Catalogue) -> KeyFile | None:
    named = catalogue.settings.server.api_key_file
    if named is None:
        return None
    path = catalogue.path.absolute().parent / named
    if path == STDIN:  # the service manager's to open: ours is a terminal, or anything at all
        return KeyFile(UNIT_KEYS, _mode(UNIT_KEYS)) if _is_there(UNIT_KEYS) else KeyFile(STDIN)
    problem = None
    if os.access(path, os.R_OK) or _is_there(path) is False:
        try:
            read_keys(catalogue)
        except CatalogueError as error:
            problem = error.message
    return KeyFile(path, _mode(path), problem)


def _mode(path: Path) -> int | None:
    with suppress(OSError):
        return stat.S_IMODE(path.stat().st_mode)
    return None


def _is_there(path: Path) -> bool | None:
    try:
        path.stat()
    except PermissionError:
        return None
    except OSError:
        return False
    return True


def _port(listen: str) -> Port:
    host, number = parse_listen(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as door:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind((host, number))
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        return Port(listen, error.strerror, taken=taken, holder=_holder(number) if taken else None)
    return Port(listen)


def _holder(port: int) -> str | None:
    """Who listens there, where this user may know."""
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr
            if listens and listens.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (PID {connection.pid})"
    return None


def _units() -> dict[str, Unit] | None:
    if not SYSTEMD.is_dir():
        return None
    try:
        return {name: Unit(_systemctl("is-enabled", name), _systemctl("is-active", name)) for name in UNITS}
    except (OSError, subprocess.SubprocessError):
        return None


def _systemctl(question: str, unit: str) -> str:
    """The one word that systemctl answers; for a unit that is not there versions before 253 have none."""
    asked = subprocess.run(
        ["systemctl", question, unit], capture_output=True, text=True, timeout=SYSTEMCTL_TIMEOUT, check=False
    )
    return asked.stdout.strip()


def _delegation(pid: int) -> Delegation | None:
    """The unit that the daemon runs as, and whether its cgroup is its own."""
    with suppress(OSError):
        unit, mount = unit_in(Path(f"/proc/{pid}/cgroup").read_text()), mounted()
        if unit and mount:
            path = mount / unit
            there = controllers_below(path)
            lacking = tuple(name for name in CONTROLLERS if name not in there)
            return Delegation(unit.rpartition("/")[2], is_delegated(path), lacking)
    return None


def _probe() -> tuple[Memory | None, Gpu | None, str]:
    nvml = Nvml()
    probe = Probe(nvml=nvml)
    try:
        return probe.read(), nvml.read(), ""
    except ProbeError as error:
        return None, nvml.read(), error.message
    finally:
        probe.close()


def _floor(status: Status | None, catalogue: Catalogue | None, memory: Memory | None) -> int:
    """What the running daemon defends, else what one that is started now would."""
    if status is not None:
        return status.memory.floor
    settings = catalogue.settings.memory if catalogue else None
    if settings is not None and settings.floor is not None:
        return settings.floor
    total = settings.total if settings else None
    return floor_of(total or (memory.total if memory else 0))


def _swapped() -> int:
    """Bytes of swap in use; proc_meminfo(5)."""
    with suppress(OSError, ValueError, KeyError, IndexError):
        told = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        total, free = (int(told[name].split()[0]) for name in ("SwapTotal", "SwapFree"))
        return (total - free) * 1024
    return 0
