"""Methods about requests."""

from __future__ import annotations

from urllib.parse import quote

from sparkd.control.client.connection import ControlConnection
from sparkd.usage.active import ActiveRequest


class RequestMethods(ControlConnection):
    """Methods about requests."""

    def active_requests(self) -> list[ActiveRequest]:
        """The requests in flight, those that wait for their model included, the oldest first."""
        return self._request("GET", "/requests/active", list[ActiveRequest])

    def cancel_request(self, request_id: str) -> list[ActiveRequest]:
        """Cancel the request with this id, or all that have it; returns what they did until then."""
        return self._request("DELETE", f"/requests/active/{quote(request_id, safe='')}", list[ActiveRequest])
