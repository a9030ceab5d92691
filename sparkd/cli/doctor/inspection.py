"""The sources of `sparkctl doctor`: catalogue, control socket, systemd, /proc, NVML. Nothing here raises."""

from __future__ import annotations

import os
import stat
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx

from sparkd import __version__
from sparkd.catalog import Catalogue
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.keys import STDIN, find_unmatched_rules, read_key_names, read_keys
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.cli.doctor import readiness
from sparkd.cli.doctor.addresses import find_bridges, inspect_ports
from sparkd.cli.doctor.facts import (
    CatalogueFacts,
    DaemonState,
    Delegation,
    DiskSpace,
    Facts,
    KeyFile,
    UnitState,
)
from sparkd.cli.doctor.machine_checks import SOCKETS, UNITS
from sparkd.cli.storage.folders import free_space
from sparkd.control.client import ControlClient, find_socket
from sparkd.engines import find_engine_problems
from sparkd.errors import CatalogueError, ControlForbidden, DaemonUnreachable, ProbeError, SparkdError
from sparkd.machine.meminfo import MEMINFO
from sparkd.machine.memory import Memory, MemoryProbe
from sparkd.machine.nvml import Gpu, Nvml
from sparkd.processes.cgroups import CONTROLLERS, find_mount, is_delegated, parse_unit, read_controllers
from sparkd.scheduling.memory import default_floor
from sparkd.scheduling.status import Status

SYSTEMD: Final = Path("/run/systemd/system")
"""Exists exactly if systemd is the machine's init: sd_booted(3)."""

DRIVER: Final = Path("/dev/nvidiactl")
UNIT_KEYS: Final = Path("/etc/sparkd/keys")
"""The file that the unit opens as the daemon's standard input."""

SYSTEMCTL_TIMEOUT: Final = 5.0
"""Seconds."""


def inspect_system(
    catalogue_option: str | None, socket_option: str | None, status: Status | None = None
) -> Facts:
    """Collect all facts. `catalogue_option` and `socket_option` come from the command line.

    `status` is the daemon's, if the daemon itself asks.
    """
    path, catalogue, problems = _read_catalogue(catalogue_option)
    state: DaemonState = "running"
    daemon_error = ""
    if status is None:
        state, daemon_error, status = _query_daemon(socket_option, catalogue_option)
    memory, gpu, probe_error = _probe_hardware()
    return Facts(
        path=path,
        problems=problems,
        catalogue=_inspect_catalogue(catalogue, gpu=gpu is not None) if catalogue else None,
        daemon=state,
        daemon_error=daemon_error,
        status=status,
        units=_inspect_units(),
        unit_listen=_read_unit_addresses(),
        bridges=find_bridges(),
        delegation=_inspect_delegation(status.pid) if status else None,
        gpu=gpu,
        has_driver=DRIVER.exists(),
        memory=memory,
        probe_error=probe_error,
        floor=_find_memory_floor(status, catalogue, memory),
        swap_used=_read_swap_used(),
        version=__version__,
    )


def _read_catalogue(option: str | None) -> tuple[Path | None, Catalogue | None, tuple[str, ...]]:
    path = None
    try:
        path = catalogue_path(option)
        catalogue = read_catalogue(path)
    except CatalogueError as error:
        return path, None, tuple(error.problems)
    return path, catalogue, tuple(find_engine_problems(catalogue))


def _query_daemon(
    socket_option: str | None, catalogue_option: str | None
) -> tuple[DaemonState, str, Status | None]:
    try:
        with ControlClient(find_socket(socket_option, catalogue_option)) as client:
            return "running", "", client.status()
    except ControlForbidden as error:
        return "forbidden", error.message, None
    except DaemonUnreachable as error:
        if isinstance(error.__cause__, CatalogueError):
            return "unknown", error.message, None
        absent = isinstance(error.__cause__, OSError | httpx.ConnectError)
        return ("absent" if absent else "foreign"), error.message, None
    except SparkdError as error:
        return "foreign", error.message, None


def _inspect_catalogue(catalogue: Catalogue, *, gpu: bool) -> CatalogueFacts:
    enabled = sum(model.enabled for model in catalogue.models.values())
    return CatalogueFacts(
        enabled=enabled,
        disabled=len(catalogue.models) - enabled,
        key_file=_inspect_key_file(catalogue),
        ports=inspect_ports(catalogue.settings.server.listen),
        hosts=catalogue.settings.server.hosts,
        disks=tuple(
            DiskSpace(f"paths.{name}", folder, free_space(folder))
            for name, folder in (
                ("models", catalogue.folder("models")),
                ("runtimes", catalogue.folder("runtimes")),
            )
        ),
        readiness=readiness.inspect_readiness(catalogue, gpu=gpu),
    )


def _inspect_key_file(catalogue: Catalogue) -> KeyFile | None:
    key_file = catalogue.settings.server.api_key_file
    if key_file is None:
        return None
    path = catalogue.path.absolute().parent / key_file
    if path == STDIN:  # systemd opens it for the daemon; our own standard input is something else
        if not _exists(UNIT_KEYS):
            return KeyFile(STDIN)
        return KeyFile(UNIT_KEYS, _read_mode(UNIT_KEYS), unmatched=_find_unmatched(catalogue, UNIT_KEYS))
    problem = None
    if os.access(path, os.R_OK) or _exists(path) is False:
        try:
            read_keys(catalogue)
        except CatalogueError as error:
            problem = error.message
    return KeyFile(path, _read_mode(path), problem, _find_unmatched(catalogue, path))


def _find_unmatched(catalogue: Catalogue, path: Path) -> tuple[str, ...]:
    """Nothing if the file cannot be read: `problem` says so, or only root may read it."""
    with suppress(OSError, UnicodeDecodeError):
        return tuple(find_unmatched_rules(catalogue, read_key_names(path)))
    return ()


def _read_mode(path: Path) -> int | None:
    with suppress(OSError):
        return stat.S_IMODE(path.stat().st_mode)
    return None


def _exists(path: Path) -> bool | None:
    try:
        path.stat()
    except PermissionError:
        return None
    except OSError:
        return False
    return True


def _inspect_units() -> dict[str, UnitState] | None:
    if not SYSTEMD.is_dir():
        return None
    try:
        return {
            name: UnitState(_run_systemctl("is-enabled", name), _run_systemctl("is-active", name))
            for name in UNITS
        }
    except (OSError, subprocess.SubprocessError):
        return None


def _read_unit_addresses() -> tuple[str, ...]:
    """The addresses at which systemd listens for sparkd, if it does."""
    if not SYSTEMD.is_dir():
        return ()
    try:
        if _run_systemctl("is-active", SOCKETS[0]) != "active":
            return ()
        listen = _run_systemctl("show", "--property=Listen", "--value", SOCKETS[0])
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.split()[0] for line in listen.splitlines() if line.split())


def _run_systemctl(*arguments: str) -> str:
    """The output of systemctl; versions before 253 print nothing for a missing unit."""
    result = subprocess.run(
        ["systemctl", *arguments], capture_output=True, text=True, timeout=SYSTEMCTL_TIMEOUT, check=False
    )
    return result.stdout.strip()


def _inspect_delegation(pid: int) -> Delegation | None:
    """The unit that the daemon runs as, and whether its cgroup is delegated."""
    with suppress(OSError):
        unit, mount = parse_unit(Path(f"/proc/{pid}/cgroup").read_text()), find_mount()
        if unit and mount:
            path = mount / unit
            available = read_controllers(path)
            missing = tuple(name for name in CONTROLLERS if name not in available)
            return Delegation(unit.rpartition("/")[2], is_delegated(path), missing)
    return None


def _probe_hardware() -> tuple[Memory | None, Gpu | None, str]:
    nvml = Nvml()
    probe = MemoryProbe(nvml=nvml)
    try:
        return probe.read(), nvml.read(), ""
    except ProbeError as error:
        return None, nvml.read(), error.message
    finally:
        probe.close()


def _find_memory_floor(status: Status | None, catalogue: Catalogue | None, memory: Memory | None) -> int:
    """The floor of the running daemon, or of one that would start now."""
    if status is not None:
        return status.memory.floor
    settings = catalogue.settings.memory if catalogue else None
    if settings is not None and settings.floor is not None:
        return settings.floor
    total = settings.total if settings else None
    return default_floor(total or (memory.total if memory else 0))


def _read_swap_used() -> int:
    """Bytes of swap in use; proc_meminfo(5)."""
    with suppress(OSError, ValueError, KeyError, IndexError):
        fields = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        total, free = (int(fields[name].split()[0]) for name in ("SwapTotal", "SwapFree"))
        return (total - free) * 1024
    return 0
