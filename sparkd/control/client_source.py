"""What configurations of client programs are made from."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from sparkd.catalog import Catalogue


class ClientSource(Struct, frozen=True, kw_only=True):
    """What configurations are made from: functions, because a reload changes it. `listen` has addresses as
    `host:port`, `key_names` the names of the keys."""

    catalogue: Callable[[], Catalogue]
    listen: Callable[[], tuple[str, ...]]
    key_names: Callable[[], frozenset[str]]
