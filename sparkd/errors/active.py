"""Errors about requests in flight."""

from __future__ import annotations

from sparkd.errors.requests import RequestError


class RequestCancelled(RequestError):
    """The owner cancelled the request. A status that no client retries."""

    status = 410
    code = "request_cancelled"


class RequestNotFound(RequestError):
    """No request in flight has that id."""

    status = 404
    code = "request_not_found"
