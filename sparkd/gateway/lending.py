"""What the gateway needs of the supervisor: leases of models."""

from __future__ import annotations

from typing import Protocol

from sparkd.catalog.definitions import Model
from sparkd.scheduling.claim import Claim
from sparkd.scheduling.forecast import Forecast
from sparkd.scheduling.lifecycle import Residency
from sparkd.scheduling.model_state import ModelState
from sparkd.upstream.client import EngineRequest, Upstream


class Lease(Protocol):
    """The right to use a model."""

    @property
    def upstream(self) -> Upstream:
        """The client of the model's engine, once the lease is granted."""
        ...

    def request(self) -> bool:
        """Ask for the model; whether the lease is granted already."""
        ...

    async def wait(self) -> None:
        """Wait until the model is ready. Raises Refusal; leaves the queue when cancelled."""
        ...

    def forecast(self) -> Forecast:
        """What the request waits for now, and for how long yet. Cheap: may be called again and again."""
        ...

    def load_began(self) -> float | None:
        """When the download or load of the model began that is under way, in seconds of the monotonic clock.

        None if it is not being loaded now. Costs one look-up.
        """
        ...

    def load_seconds(self, since: float, until: float) -> float:
        """How many of the seconds between two times of the monotonic clock the model was downloaded or loaded."""
        ...

    def release(self, status: int = 0) -> None:
        """Give the lease back, or leave the queue. `status`: see `Forwarding._outcome`."""
        ...


class Lender(Protocol):
    """Lends out ready models: the supervisor."""

    def lease(self, model: Model, request: EngineRequest | None, claim: Claim) -> Lease:
        """A lease for this request that has not been requested yet."""
        ...

    def residency(self, model: Model) -> Residency:
        """Whether the model is loaded now."""
        ...

    def can_start_without_eviction(self, model: Model) -> bool:
        """Whether a background request for the model would be served without the eviction of another one."""
        ...

    def state(self, model: Model) -> ModelState:
        """The state of the model, with the progress of a load or download."""
        ...

    def can_load(self, model: Model) -> bool:
        """Whether a request could load the model: it is on disk, has not failed, and fits beside what must stay."""
        ...

    def ready_upstream(self, model: Model) -> Upstream | None:
        """The client of the model's engine, without a lease; None unless the model is ready."""
        ...
