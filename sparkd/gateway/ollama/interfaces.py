"""What Ollama's API needs of the daemon."""

from __future__ import annotations

from typing import Protocol

from sparkd.catalog.definitions import Model
from sparkd.gateway.lending import Lender
from sparkd.hub.messages import Progress
from sparkd.scheduling.claim import PLAIN_CLAIM, Claim
from sparkd.scheduling.hold import Holds
from sparkd.scheduling.status import ALL_MODELS, ModelChoice, Status


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

    def status(self, model: ModelChoice = ALL_MODELS) -> Status:
        """The current status of the daemon, and of the chosen models."""
        ...

    def can_load(self, model: Model) -> bool:
        """Whether the model could be loaded, if models that are not pinned leave."""
        ...

    def begin_load(self, model: Model, claim: Claim = PLAIN_CLAIM) -> None:
        """Load the model as if a client had requested it, and do not wait for it."""
        ...

    def unload(self, model: Model) -> None:
        """Stop the model, once no request uses it or waits for it. Raises HoldConflict."""
        ...

    async def stop(self, model: Model) -> None:
        """Drain and stop the model; return once nothing of it is left."""
        ...
