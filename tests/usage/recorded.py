"""Records for tests, and a store that works like the daemon's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sparkd.catalog.settings import Usage
from sparkd.usage.reader import UsageReader
from sparkd.usage.records import RequestRecord, StateChange
from sparkd.usage.request_query import RequestQuery
from sparkd.usage.store import UsageStore

NOW = time.time()


def request(number: int = 0, **fields: Any) -> RequestRecord:
    """A request with an id of its own; the higher the number, the later it ended."""
    values = {
        "ended": NOW - 1000 + number,
        "id": f"req-{number:06d}",
        "model": "qwen",
        "asked": "coder",
        "endpoint": "/v1/chat/completions",
        "status": 200,
        "seconds": 2.0,
    }
    return RequestRecord(**{**values, **fields})


def change(at: float, model: str, state: str, **fields: Any) -> StateChange:
    """A state change."""
    return StateChange(**{"at": at, "model": model, "run": 1, "state": state, "after": 1.0, **fields})


@contextmanager
def running_store(path: Path, kept: frozenset[str] | None = None, **settings: Any) -> Iterator[UsageStore]:
    """A store that writes until the block ends."""
    store = UsageStore(path, lambda: Usage(**settings), "1.0")
    store.start(kept)
    try:
        yield store
    finally:
        store.close()


def ids(reader: UsageReader, **query: Any) -> list[str]:
    """The ids of the requests that a query finds."""
    return [each.id for each in reader.requests(RequestQuery(**query)).requests]


def wait_for(condition: Any, seconds: float = 20.0) -> None:
    """Wait until the condition is met; the time only limits a hang."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
