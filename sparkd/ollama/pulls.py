"""The lines of `/api/pull`, and what is answered to the paths that change models."""

from __future__ import annotations

from typing import Any, Final

SUCCESS: Final[dict[str, Any]] = {"status": "success"}

_COMMANDS: Final = {
    "create": "Add a model with `sparkctl add SOURCE`.",
    "copy": "Add a name with the key `aliases` of the model, in models.d/.",
    "push": "sparkd uploads nothing.",
    "delete": "Remove a model's files with `sparkctl rm MODEL`.",
    "blobs": "Add a model with `sparkctl add SOURCE`.",
}
"""What the owner does instead, by the first segment after `/api/`."""

OWNER_PATHS: Final = tuple(_COMMANDS)


def describe_owner_path(name: str) -> str:
    """Why `/api/<name>` is rejected, and what to do instead."""
    return f"/api/{name} is not for clients: the models here are the owner's. {_COMMANDS[name]}"


def progress_line(digest: str, step: str, total: int, completed: int) -> dict[str, Any]:
    """A line about a running download. `step` is sparkd's, sizes are bytes."""
    if not total:
        return {"status": "pulling manifest"}
    if step == "verifying":
        return {"status": "verifying sha256 digest"}
    done = min(completed, total)
    return {
        "status": f"pulling {digest[:12]}",
        "digest": f"sha256:{digest}",
        "total": total,
        "completed": done,
    }
