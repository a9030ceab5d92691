"""What Ollama's API and the paths that operate models need of the daemon."""

from __future__ import annotations

from typing import Protocol

from sparkd.catalog.definitions import Model
from sparkd.gateway.forwarding import Lender
from sparkd.hub.messages import Progress
from sparkd.scheduling.hold import Holds
from sparkd.scheduling.status import Status


class Puller(Protocol):
    """Downloads models."""

    async def pull(self, model: Model) -> None:
        """Download what the model needs; return once it is on disk. Raises Refusal."""
        ...

    def progress_of(self, model: Model) -> Progress | None:
        """The progress of the model's download, None if none is running."""
        ...


class Host(Lender, Protocol):
    """The supervisor."""

    @property
    def downloads(self) -> Puller:
        """Downloads models."""
        ...

    @property
    def holds(self) -> Holds:
        """Keeps models loaded."""
        ...

    def status(self) -> Status:
        """The current status of the daemon."""
        ...

    def keep_alive(self, model: Model, seconds: float) -> None:
        """Replace the idle timeout of the model, if it is loaded and not pinned."""
        ...

    def unload(self, model: Model) -> None:
        """Stop the model once no request uses it or waits for it. Raises HoldConflict."""
        ...

    async def wait_until_gone(self, model: Model) -> None:
        """Return once nothing is left of the model's current run."""
        ...
