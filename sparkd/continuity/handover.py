"""What a sparkd passes on to the program that takes its place under the same PID: doors, engines, books.

Only numbers and text travel, in an anonymous file of which the environment names the descriptor: descriptors stay
open, children stay children, and the steady clock goes on. What is not in here is read again, as at any start.
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
from sparkd.scheduling.snapshot import EntrySnapshot
from sparkd.supervising.run_snapshot import RunSnapshot

FORMAT: Final = 4
"""Of everything below and in the structs it holds. A program that expects another one is not put in our place."""

HANDOVER_VARIABLE: Final = "SPARKD_HANDOVER"


class DaemonSnapshot(Struct, frozen=True, kw_only=True):
    """What the supervisor passes on. `logs` are the files of models' last runs, by model; `started` (steady clock,
    seconds) is when this service was."""

    runs: tuple[RunSnapshot, ...] = ()
    entries: tuple[EntrySnapshot, ...] = ()
    logs: dict[str, str] = {}
    started: float = 0.0
    replacements: int = 0

    @property
    def models(self) -> frozenset[str]:
        """Ids of the models that run."""
        return frozenset(str(run.definition.get("id")) for run in self.runs)

    @property
    def folders(self) -> list[Path]:
        """Private folders of their engines."""
        return [Path(run.process.directory) for run in self.runs]

    def definitions(self) -> dict[str, Model]:
        """The models that run, as they were defined when they were launched, if that can still be understood."""
        found = {}
        for run in self.runs:
            try:
                model = msgspec.convert(run.definition, Model)
            except msgspec.ValidationError:
                continue
            found[model.id] = model
        return found


class Handover(Struct, frozen=True, kw_only=True):
    """Everything. `clients` and `control` are the descriptors of the doors, `lock` that of the run folder's lock."""

    clients: tuple[int, ...]
    control: tuple[int, ...]
    lock: int
    snapshot: DaemonSnapshot
    version: str = __version__
    format: int = FORMAT

    @property
    def descriptors(self) -> list[int]:
        """Everything that has to stay open."""
        outputs = (run.process.output for run in self.snapshot.runs)
        return [*self.clients, *self.control, self.lock, *(fd for fd in outputs if fd is not None)]


def write_handover(handover: Handover) -> dict[str, str]:
    """Write it where the next program finds it, and leave open what it names; return the environment it needs."""
    for fd in handover.descriptors:
        os.set_inheritable(fd, True)
    descriptor = os.memfd_create("sparkd-handover", 0)  # without MFD_CLOEXEC
    data = msgspec.msgpack.encode(handover)
    while data:
        data = data[os.write(descriptor, data) :]
    return {HANDOVER_VARIABLE: str(descriptor)}


def read_handover() -> Handover | None:
    """What the program before us under this PID has passed on, None at any other start. Raises HandoverError."""
    descriptor = os.environ.pop(HANDOVER_VARIABLE, None)
    if descriptor is None:
        return None
    try:
        with open(int(descriptor), "rb") as file:  # noqa: PTH123 - it has no path
            file.seek(0)
            found = msgspec.msgpack.decode(file.read(), type=dict[str, Any])
        if found.get("format") != FORMAT:
            raise HandoverError(
                f"sparkd {found.get('version')} hands over in another format than {__version__} takes"
            )
        return msgspec.convert(found, Handover)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise HandoverError(f"what the sparkd before this one passed on cannot be read: {error}") from error
