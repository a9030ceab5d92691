"""Errors about holds."""

from __future__ import annotations

from sparkd.errors.requests import Refusal, RequestError


class HoldConflict(RequestError):
    """A hold is in the way: of another hold, or of the end of its model."""

    status = 409
    code = "model_held"


class HoldNotFound(RequestError):
    """No hold has that id."""

    status = 404
    code = "hold_not_found"


class ModelHeld(Refusal):
    """The model does not fit beside one that somebody holds."""

    code = "model_held"
