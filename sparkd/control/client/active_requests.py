"""Methods about requests in flight."""

from __future__ import annotations

from urllib.parse import quote

from msgspec import Struct

from sparkd.control.client.connection import ControlConnection


class ActiveRequest(Struct, frozen=True, kw_only=True):
    """A request that has not ended. `began` and `phase_since` are seconds since the epoch."""

    id: str
    model: str
    phase: str
    began: float
    asked: str = ""
    client: str = ""
    program: str = ""
    endpoint: str = ""
    streamed: bool = False
    phase_since: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    speed: float | None = None


class ActiveRequestMethods(ControlConnection):
    """Methods about requests in flight."""

    def active_requests(self) -> list[ActiveRequest]:
        """All requests that have not ended, also those that wait."""
        return self._request("GET", "/requests/active", list[ActiveRequest])

    def cancel_request(self, request_id: str) -> list[ActiveRequest]:
        """End a request at once; returns what it did until then. A client may have used its id for several."""
        return self._request(
            "DELETE", f"/requests/active/{quote(request_id, safe='')}", list[ActiveRequest]
        )
