"""What the control API asks of the supervisor."""

from __future__ import annotations

from typing import Protocol

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.processes.log import Log
from sparkd.scheduling.plan import Plan
from sparkd.scheduling.status import Reload, Status
from sparkd.supervising.downloads import Downloads


class SupervisorInterface(Protocol):
    """Steers the models of one catalogue."""

    @property
    def catalogue(self) -> Catalogue:
        """What may run."""
        ...

    @property
    def downloads(self) -> Downloads:
        """What is on disk."""
        ...

    def status(self) -> Status:
        """Everything as it is now."""
        ...

    def plan(self, model: Model) -> Plan:
        """What would happen if somebody asked for the model now."""
        ...

    async def load(self, model: Model) -> None:
        """Make the model ready; cancelling this leaves the queue. Raises Refusal."""
        ...

    async def stop(self, model: Model) -> None:
        """Let the model finish what it has begun, then stop it; returns once it is stopped."""
        ...

    def retry(self, model: Model) -> None:
        """Lift the model's backoff or quarantine."""
        ...

    def log(self, model: Model) -> Log | None:
        """Output of the model's running or last process, None if it had none since sparkd started."""
        ...


class Replacer(Protocol):
    """Puts the program that is installed now in the place of the one that runs."""

    async def prepare(self) -> None:
        """Try whether that would start, and have it done soon. Raises ReplacementRefused."""
        ...


class Reloader(Protocol):
    """Reads the catalogue again."""

    async def reload(self) -> Reload:
        """Read the catalogue again and go by it; return what has changed. Raises CatalogueError."""
        ...
