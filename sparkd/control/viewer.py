"""What the client of one request to the control API may do, for endpoints whose response depends on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct
from starlette.types import Scope

VIEWER: Final = "viewer"
"""Key of `scope["state"]` under which the application that serves the control API elsewhere leaves the viewer."""


class Rights(Struct, frozen=True):
    """`operate`: may load and unload models by the gateway's paths. `control`: may use the whole control API."""

    operate: bool
    control: bool


class Viewer(Struct, frozen=True):
    """The reader of a response. `is_current`: whether the rights are still those, for responses without an end."""

    rights: Rights
    is_current: Callable[[], bool] = lambda: True


OWNER: Final = Viewer(Rights(operate=True, control=True))
"""Everybody who can open the control socket."""


def viewer_of(scope: Scope) -> Viewer:
    """The viewer of the request that a scope belongs to: the owner, unless another one was set."""
    viewer: Viewer = scope.get("state", {}).get(VIEWER, OWNER)
    return viewer
