"""Errors as clients get them."""

from __future__ import annotations

import logging

from sparkd.errors import SparkdError, UpstreamError
from sparkd.gateway.request_head import RequestHead
from sparkd.journal.handler import event

logger = logging.getLogger(__name__)


def public_error(error: Exception, where: str, request: RequestHead) -> SparkdError:
    """The error as a client gets it: a bug in sparkd is logged, and the client learns no more than that it is one."""
    if isinstance(error, UpstreamError):
        return _explain(error, request.model)
    if isinstance(error, SparkdError):
        return error
    fields = event("internal-error", request.model, REQUEST_ID=request.identify().decode())
    logger.error("bug in sparkd: %s", where, exc_info=error, extra=fields)
    return SparkdError(f"sparkd has a bug ({type(error).__name__}); its journal has the details.")


def _explain(error: UpstreamError, model: str | None) -> UpstreamError:
    """The error with the model's name and what to do, if it does not have these: connections do not know the model."""
    if not model or not error.message.startswith("the engine "):
        return error
    happened = error.message.removeprefix("the engine ")
    return UpstreamError(
        f'The engine of "{model}" {happened}. Try again; if it happens again, see `sparkctl logs {model}`.'
    )
