"""The root of the error tree."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


class SparkdError(Exception):
    """Root of the error tree. `message` says to a person what happened, why, and what to do.

    `headers` are those that the response must have besides the usual ones. `retry_may_help`: whether the same request
    may succeed later, as far as the class says; a Refusal without `retry_after` lasts until the owner does something.
    """

    status: int = 500
    type: str = "server_error"
    code: str = "internal_error"
    retry_may_help: bool = True
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, message: str, *, param: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after
