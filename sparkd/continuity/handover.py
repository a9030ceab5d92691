"""The handover: what a sparkd passes to the program that replaces it under the same PID: sockets, engines, ledger.

It consists of numbers and text in an anonymous file, whose descriptor is in an environment variable. Descriptors stay
open, children stay children, and the steady clock continues. Everything else is read again, as at any start.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from sparkd import __version__
from sparkd.catalog.definitions import Model
from sparkd.errors import HandoverError
from sparkd.launcher.launcher import LauncherSnapshot
from sparkd.processes.process import ProcessSnapshot
from sparkd.scheduling.places import PlaceSnapshot
from sparkd.scheduling.snapshot import EntrySnapshot
from sparkd.supervising.run_snapshot import RunSnapshot

FORMAT: Final = 6
"""Version of the structs below and of those in them. A program that expects another one cannot replace this one."""

HANDOVER_VARIABLE: Final = "SPARKD_HANDOVER"


class DaemonSnapshot(Struct, frozen=True, kw_only=True):
    """The supervisor's part of the handover. `logs` are the log files of the models' last runs, by model. `places` are
    kept for clients that were refused. `started` is when this service was started (steady clock, seconds)."""

    runs: tuple[RunSnapshot, ...] = ()
    entries: tuple[EntrySnapshot, ...] = ()
    launchers: tuple[LauncherSnapshot, ...] = ()
    logs: dict[str, str] = {}
    places: tuple[PlaceSnapshot, ...] = ()
    started: float = 0.0
    replacements: int = 0

    @property
    def models(self) -> frozenset[str]:
        """Ids of the running models."""
        return frozenset(str(run.definition.get("id")) for run in self.runs)

    @property
    def processes(self) -> list[ProcessSnapshot]:
        """The processes of the running engines and launchers."""
        return [run.attempt.process for run in self.runs] + [each.process for each in self.launchers]

    @property
    def folders(self) -> list[Path]:
        """Private folders of the running engines and launchers."""
        return [Path(each.directory) for each in self.processes]

    def definitions(self) -> dict[str, Model]:
        """Return the running models as they were defined at their launch, without those that cannot be parsed."""
        models = {}
        for run in self.runs:
            try:
                model = msgspec.convert(run.definition, Model)
            except msgspec.ValidationError:
                continue
            models[model.id] = model
        return models


class Handover(Struct, frozen=True, kw_only=True):
    """The complete handover. `clients` and `control` are descriptors of listening sockets; `lock` is that of the run
    folder's lock."""

    clients: tuple[int, ...]
    control: tuple[int, ...]
    lock: int
    snapshot: DaemonSnapshot
    version: str = __version__
    format: int = FORMAT

    @property
    def descriptors(self) -> list[int]:
        """All descriptors that must stay open."""
        outputs = (process.output for process in self.snapshot.processes)
        channels = (launcher.channel for launcher in self.snapshot.launchers)
        inherited = (*self.clients, *self.control, self.lock, *channels)
        return [*inherited, *(fd for fd in outputs if fd is not None)]


def write_handover(handover: Handover) -> dict[str, str]:
    """Write the handover and make its descriptors inheritable; return the environment for the next program."""
    for fd in handover.descriptors:
        os.set_inheritable(fd, True)
    descriptor = os.memfd_create("sparkd-handover", 0)  # without MFD_CLOEXEC
    data = msgspec.msgpack.encode(handover)
    while data:
        data = data[os.write(descriptor, data) :]
    return {HANDOVER_VARIABLE: str(descriptor)}


def read_handover() -> Handover | None:
    """Read the handover of the previous program under this PID. None at any other start. Raises HandoverError."""
    descriptor = os.environ.pop(HANDOVER_VARIABLE, None)
    if descriptor is None:
        return None
    try:
        with open(int(descriptor), "rb") as file:  # noqa: PTH123 - it has no path
            file.seek(0)
            handover = msgspec.msgpack.decode(file.read(), type=dict[str, Any])
        if handover.get("format") != FORMAT:
            raise HandoverError(
                f"sparkd {handover.get('version')} hands over in another format than sparkd {__version__} reads"
            )
        return msgspec.convert(handover, Handover)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise HandoverError(f"cannot read what the previous sparkd handed over: {error}") from error
