"""What a client's configuration consists of: files to merge into, and what a person has to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

Format = Literal["json", "toml", "yaml"]
Path = tuple[str, ...]
"""Keys from the top of a file to a value. Empty: the file's content."""


class Suggestion(Struct, frozen=True):
    """A value that is set only where the file has none: a placeholder, or what another program changes."""

    value: Any


class Removal(Struct, frozen=True):
    """A key that is removed from a table: any value, or only `value`, if that is set."""

    value: Any = None


class Items(Struct, frozen=True):
    """How the items of a list, or the entries of a table, are merged.

    An item of the file belongs to sparkd if `is_ours` says so; without it, each does. Items that belong to sparkd and
    are no longer in the configuration are removed. `key` is the field that identifies an item among those; it is empty
    for a table, whose keys do.
    """

    key: str = ""
    is_ours: Callable[[Mapping[str, Any]], bool] | None = None


class Location(Struct, frozen=True):
    """Where a file belongs.

    `names` are relative to the folder; the first that exists is used, or the first of all. The folder is the value of
    the environment variable `variable` if that is set, otherwise `folder` in the home folder. A folder in `.config`
    moves with XDG_CONFIG_HOME if `has_xdg`.
    """

    names: tuple[str, ...]
    folder: str = ""
    variable: str = ""
    has_xdg: bool = False


class ConfigFile(Struct, frozen=True, kw_only=True):
    """One file. `location` is None if the user chooses its place. `content` may contain Suggestions and Removals."""

    location: Location | None
    format: Format
    content: Mapping[str, Any] | Sequence[Any]
    items: Mapping[Path, Items] = {}
    """By path, where items that are no longer needed are removed. A path goes through lists: `("models", "tools")`
    is the table `tools` in each item of `models`."""


class Configuration(Struct, frozen=True, kw_only=True):
    """The whole. `lines` are to be pasted where the client has no file, `notes` are what its user should know."""

    files: tuple[ConfigFile, ...] = ()
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def strip_suggestions(content: Any) -> Any:
    """The content as plain data, with the value of each suggestion and without removals."""
    if isinstance(content, Suggestion):
        return strip_suggestions(content.value)
    if isinstance(content, Mapping):
        kept = {key: value for key, value in content.items() if not isinstance(value, Removal)}
        return {key: strip_suggestions(value) for key, value in kept.items()}
    if isinstance(content, (list, tuple)):
        return [strip_suggestions(value) for value in content]
    return content
