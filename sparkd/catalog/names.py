"""What a model may be called.

An id is part of URL paths (`/v1/<model>/chat/completions`), of file names (logs, sockets) and of argv.
"""

from __future__ import annotations

import re

LONGEST_NAME = 100
"""Characters; a log's file name adds some and must stay within 255 bytes."""

PATH_HEADS = frozenset(
    {"audio", "batches", "chat", "classify", "completions", "detokenize", "embeddings", "engines", "files"}
    | {"fine_tuning", "images", "messages", "models", "moderations", "pooling", "realtime", "rerank"}
    | {"responses", "score", "tokenize", "uploads", "videos"}
)
"""First segments after `/v1/` of the paths that engines and OpenAI's API know. A model of that name would hide them."""

NAME_RULE = f"letters, digits and . _ - : after a first letter or digit, at most {LONGEST_NAME} characters"

ID_PATTERN = "[A-Za-z0-9][A-Za-z0-9._:-]*"

_id = re.compile(ID_PATTERN)
_alias = re.compile(f"{ID_PATTERN}(/{ID_PATTERN})*")
_variable = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_option = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def is_id(name: str) -> bool:
    """Whether a model can have this id, or a runtime or a drop-in this name."""
    return len(name) <= LONGEST_NAME and _id.fullmatch(name) is not None


def is_alias(name: str) -> bool:
    """Whether a model can have this alias: as an id, and slashes may join several (`org/name`).

    One with a slash can be named in a body or a query, not in a path.
    """
    return len(name) <= LONGEST_NAME and _alias.fullmatch(name) is not None


def is_variable(name: str) -> bool:
    """Whether an environment variable can be called so."""
    return _variable.fullmatch(name) is not None


def is_option(name: str) -> bool:
    """Whether this is a flag of an engine without its dashes."""
    return _option.fullmatch(name) is not None
