"""The state of a model as clients see it in lists."""

from __future__ import annotations

import re
from typing import Final, Literal

from msgspec import Struct

from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import Residency, State, residency
from sparkd.scheduling.status import LoadStep

StateForClients = Literal["unloaded", "downloading", "loading", "loaded", "failed"]

MAX_REASON: Final = 200
"""Characters of a reason. Lists are for many models."""

_path = re.compile(r"(?<![\w:/])~?(?:/[\w.@+-]+)+/([\w.@+-]+)?")


class ModelState(Struct, frozen=True, kw_only=True):
    """What a client may know about a model.

    `residency` is the same in llama.cpp's terms, which have three values. `phase` and `progress` (0 to 1) are those of
    a download or of a load, `seconds_left` the estimated time until its end. `reason` is why the model failed.
    """

    state: StateForClients = "unloaded"
    residency: Residency = "unloaded"
    phase: str | None = None
    progress: float | None = None
    seconds_left: int | None = None
    reason: str | None = None


UNLOADED: Final = ModelState()
LOADED: Final = ModelState(state="loaded", residency="loaded")


def describe_model_state(
    entry: Entry | None, step: LoadStep | None, seconds_left: float | None
) -> ModelState:
    """Return a model's state from its entry. `step` and `seconds_left` are those of a load that is under way."""
    if entry is None or (entry.state is not State.STARTING and entry.state is not State.BACKOFF):
        return UNLOADED if entry is None or residency(entry.state) == "unloaded" else LOADED
    if entry.state is State.BACKOFF:
        return ModelState(state="failed", reason=shorten_reason(entry.cause))
    return ModelState(
        state="loading",
        residency="loading",
        phase=step.phase if step else None,
        progress=None if step is None or step.progress is None else round(step.progress, 2),
        seconds_left=None if seconds_left is None else round(seconds_left),
    )


def shorten_reason(text: str) -> str:
    """Return the first sentence of a text without the folders of this machine. Names of files stay."""
    sentence = _path.sub(lambda found: found[1] or "a folder", text).split(". ", 1)[0].rstrip(".")
    return f"{sentence}." if len(sentence) < MAX_REASON else f"{sentence[: MAX_REASON - 1]}…"
