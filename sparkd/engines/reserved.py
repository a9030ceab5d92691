"""Flags that a model's options must not set, for any engine kind: sparkd sets them or needs to know their value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from sparkd.catalog.definitions import Model
from sparkd.engines.flags import normalize_flag

ADDRESS_REASON: Final = "sparkd chooses the address that the engine listens on"
PLAIN_REASON: Final = "sparkd uses plain HTTP/1.1 for its engines"
READABLE_REASON: Final = "a key must not be on a command line, which every user of the machine can read"
SOURCE_REASON: Final = "it is the model's source"
CONTEXT_REASON: Final = "it is the model's context_length"

COMMON_RESERVED_FLAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "host": ADDRESS_REASON,
        "port": ADDRESS_REASON,
        "model": SOURCE_REASON,
        "revision": "it is the model's revision",
        "served-model-name": "clients name the model by its id and its aliases",
        "api-key": f"{READABLE_REASON}; sparkd itself checks the keys of clients",
        "ssl-keyfile": PLAIN_REASON,
        "ssl-certfile": PLAIN_REASON,
        "ssl-ca-certs": PLAIN_REASON,
        "config": "the file could set flags that sparkd sets; put its keys into options",
    }
)
"""Flags that vLLM and SGLang have in common, with the reason why they cannot be set."""


def find_definition_problems(model: Model, engine: str, reserved: Mapping[str, str]) -> Iterator[str]:
    """Problems that prevent an engine from serving a model: reserved options and missing keys."""
    for name in model.options:
        if normalize_flag(name) in reserved:
            yield f"option {name} cannot be set: {reserved[normalize_flag(name)]}"
    for key in ("runtime", "source"):
        if not getattr(model, key):
            yield f"engine {engine} needs a {key}"
