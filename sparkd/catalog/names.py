"""Rules for the names of models.

An id is part of URL paths (`/v1/<model>/chat/completions`), of file names (logs, sockets) and of argv.
"""

from __future__ import annotations

import re

LONGEST_NAME = 100
"""Characters; a log's file name adds some and must stay within 255 bytes."""

RESERVED_PATH_SEGMENTS = frozenset(
    {"audio", "batches", "chat", "classify", "completions", "detokenize", "embeddings", "engines", "files"}
    | {"fine_tuning", "images", "messages", "models", "moderations", "pooling", "realtime", "rerank"}
    | {"responses", "score", "tokenize", "uploads", "v1", "videos"}
)
"""First segments after `/v1/` in paths of engines and of OpenAI's API. A model with that name would hide them."""

NAME_RULE = f"letters, digits and . _ - : after a first letter or digit, at most {LONGEST_NAME} characters"

KEY_NAME_RULE = f"the name of an API key: printable characters, at most {LONGEST_NAME}"

ID_PATTERN = "[A-Za-z0-9][A-Za-z0-9._:-]*"

_id = re.compile(ID_PATTERN)
_alias = re.compile(f"{ID_PATTERN}(/{ID_PATTERN})*")
_pattern = re.compile(r"[A-Za-z0-9*?][A-Za-z0-9._:*?-]*(/[A-Za-z0-9*?][A-Za-z0-9._:*?-]*)*")
_variable = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_option = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def is_id(name: str) -> bool:
    """Whether a model can have this id, or a runtime or a drop-in this name."""
    return len(name) <= LONGEST_NAME and _id.fullmatch(name) is not None


def is_key_name(name: str) -> bool:
    """Whether an API key can have this name, such as `line 1`, that of a key without one."""
    return 0 < len(name) <= LONGEST_NAME and name.isprintable()


def is_alias(name: str) -> bool:
    """Whether a model can have this alias: the rule for ids, and slashes are allowed (`org/name`).

    A request can name an alias with a slash in its body or query, but not in its path.
    """
    return len(name) <= LONGEST_NAME and _alias.fullmatch(name) is not None


def is_alias_pattern(name: str) -> bool:
    """Whether a model can have this alias, which may have the wildcards `*` and `?` in it."""
    return len(name) <= LONGEST_NAME and _pattern.fullmatch(name) is not None


def is_variable(name: str) -> bool:
    """Whether an environment variable can have this name."""
    return _variable.fullmatch(name) is not None


def is_option(name: str) -> bool:
    """Whether this is a flag of an engine without its dashes."""
    return _option.fullmatch(name) is not None
