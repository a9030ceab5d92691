"""The interfaces that the control API needs."""

from __future__ import annotations

from typing import Protocol

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.processes.log import Log
from sparkd.scheduling.hold import Holds
from sparkd.scheduling.lifecycle import Residency
from sparkd.scheduling.plan import Plan
from sparkd.scheduling.status import ALL_MODELS, ModelChoice, Reload, Status
from sparkd.supervising.downloads import Downloads


class SupervisorInterface(Protocol):
    """Controls the models of one catalogue."""

    @property
    def catalogue(self) -> Catalogue:
        """The current catalogue."""
        ...

    @property
    def downloads(self) -> Downloads:
        """Downloads and files on disk."""
        ...

    @property
    def holds(self) -> Holds:
        """Keeps models loaded."""
        ...

    def status(self, model: ModelChoice = ALL_MODELS) -> Status:
        """The current status, and that of the chosen models."""
        ...

    def residency(self, model: Model) -> Residency:
        """Whether the model is loaded now."""
        ...

    def plan(self, model: Model) -> Plan:
        """What a request for the model would do now."""
        ...

    async def load(self, model: Model) -> None:
        """Load the model; cancelling this removes it from the queue. Raises Refusal."""
        ...

    async def stop(self, model: Model) -> None:
        """Let the model finish its responses, then stop it; returns once it is stopped. Raises HoldConflict."""
        ...

    def retry(self, model: Model) -> None:
        """End the model's backoff or quarantine."""
        ...

    def log(self, model: Model) -> Log | None:
        """Output of the model's running or last process, None if it had none since sparkd started."""
        ...


class Replacer(Protocol):
    """Replaces the running program with the installed one."""

    async def prepare(self) -> None:
        """Test whether it would start, and replace soon. Raises ReplacementRefused."""
        ...


class Reloader(Protocol):
    """Reloads the catalogue."""

    async def reload(self) -> Reload:
        """Reload the catalogue and return what changed. Raises CatalogueError."""
        ...

    async def preview(self, new: Catalogue) -> Reload:
        """Return what a reload would change if it found this catalogue. Raises CatalogueError."""
        ...
