"""Flags that a model's options must not have, whatever kind of engine it is: sparkd sets them, or must know of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from sparkd.catalog.definitions import Model
from sparkd.engines.flags import spelled

ADDRESS: Final = "sparkd chooses where the engine listens"
PLAIN: Final = "sparkd talks plain HTTP/1.1 to its engines"
READABLE: Final = "keys never stand in a command line, where every user of the machine can read them"
SOURCE: Final = "it is the model's source"
CONTEXT: Final = "it is the model's context_length"

SHARED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "host": ADDRESS,
        "port": ADDRESS,
        "model": SOURCE,
        "revision": "it is the model's revision",
        "served-model-name": "clients name the model by its id and its aliases",
        "api-key": f"{READABLE}; sparkd itself checks the keys of clients",
        "ssl-keyfile": PLAIN,
        "ssl-certfile": PLAIN,
        "ssl-ca-certs": PLAIN,
        "config": "its file could set what sparkd sets; write its keys as options",
    }
)
"""What vLLM and SGLang have under the same names, and why not."""


def definition_problems(model: Model, engine: str, reserved: Mapping[str, str]) -> Iterator[str]:
    """What keeps an engine of a runtime from serving a model: options that are reserved, keys that are missing."""
    for name in model.options:
        if spelled(name) in reserved:
            yield f"option {name} cannot be set: {reserved[spelled(name)]}"
    for key in ("runtime", "source"):
        if not getattr(model, key):
            yield f"engine {engine} needs a {key}"
