"""How the process that fetches is started: its command line, its environment. It ends when its standard input does."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from sparkd.catalog.definitions import Model
from sparkd.hub.access import find_token
from sparkd.hub.needs import Need, needs_of


class Order(Struct, frozen=True, kw_only=True):
    """What to fetch, and where to: `models` and `state` of `[paths]`.

    `verify`: what is there is read again. `owner`: user and group to become first, where root fetches for another.
    """

    models: str
    state: str
    sources: tuple[Need, ...] = ()
    encodings: tuple[str, ...] = ()
    verify: bool = False
    owner: tuple[int, int] | None = None


def order_for(model: Model, models: Path, state: Path, *, verify: bool = False) -> Order:
    """All that the model needs and that can be fetched: folders of this machine cannot."""
    needs = needs_of(model)
    sources = tuple(need for need in needs.sources if not need.is_folder)
    return Order(
        models=str(models), state=str(state), sources=sources, encodings=needs.encodings, verify=verify
    )


def command(order: Order) -> list[str]:
    """The command line. -P: nothing is imported from the folder somebody happens to stand in."""
    return [sys.executable, "-P", "-m", "sparkd.hub", msgspec.json.encode(order).decode()]


def environment(order: Order, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment: ours, with the token that was found, and the library made predictable."""
    token = find_token(environ, Path(order.state))
    return {
        **environ,
        **({"HF_TOKEN": token} if token else {}),
        # Plain HTTP: it can be resumed to the byte, goes where HF_ENDPOINT and the proxies say, and keeps no second
        # copy of what it fetched in a cache of chunks.
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HOME": str(Path(order.models) / "huggingface"),
        "PYTHONUNBUFFERED": "1",
    }
