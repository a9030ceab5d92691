"""What reading and writing recorded requests costs with 100,000 of them: `python -m benchmarks.recorded`.

Times are the CPU time of the thread that reads, in milliseconds: the least of five. The bound is 100 ms.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from sparkd.catalog.settings import Usage
from sparkd.usage.reader import UsageReader
from sparkd.usage.records import RequestRecord, StateChange
from sparkd.usage.request_query import RequestQuery
from sparkd.usage.store import UsageStore
from sparkd.usage.usage_query import UsageQuery

REQUESTS = 100_000
MODELS = 40
DAY = 86400.0
CYCLE = ("starting", "ready", "stopping", "stopped")

QUERIES = {
    "newest 100": RequestQuery(),
    "newest 1000": RequestQuery(limit=1000),
    "one model": RequestQuery(model="model-3"),
    "errors, longest first": RequestQuery(status="error", sort="seconds"),
    "all, by tokens": RequestQuery(sort="tokens_in", limit=1000),
    "all, by rewrites": RequestQuery(sort="rewrites", order="asc", limit=1000),
    "text that is nowhere": RequestQuery(text="nowhere"),
    "text that is everywhere, by first token": RequestQuery(
        text="req", sort="first_token_seconds", limit=1000
    ),
}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="sparkd-bench-") as folder:
        store = UsageStore(Path(folder) / "usage.sqlite", lambda: Usage(), "bench")
        now = store.session.began = time.time() - 1
        store.session.began -= 40 * DAY
        store.start(None)
        began = time.perf_counter()
        _fill(store, now)
        seconds = time.perf_counter() - began
        size = store.path.stat().st_size / 1e6
        print(f"written: {REQUESTS / seconds:,.0f} requests/s, file {size:.0f} MB\n")
        reader = UsageReader(store.path, store)
        for name, query in QUERIES.items():
            _measure(name, lambda query=query: reader.requests(query))  # type: ignore[misc]
            page = reader.requests(query)
            if page.next:
                following = msgspec.structs.replace(query, before=page.next)
                _measure("  next page", lambda query=following: reader.requests(query))  # type: ignore[misc]
        every = UsageQuery(group=("model", "client", "program"))
        _measure("usage by day, model, client, program", lambda: reader.usage(every))
        _measure("history of a day", lambda: reader.history(now - DAY, now))
        _measure("history of 31 days", lambda: reader.history(now - 31 * DAY, now))
        _measure("summary of 31 days", lambda: reader.history_summary(now - 31 * DAY, now))
        _measure("history of a model, 31 days", lambda: reader.model_history("model-3", now - 31 * DAY, now))
        store.close()


def _measure(name: str, read: Callable[[], Any]) -> None:
    times = []
    for _ in range(5):
        began = time.thread_time()
        msgspec.json.encode(read())
        times.append(time.thread_time() - began)
    print(f"{name:<42}{min(times) * 1000:7.1f} ms")


def _fill(store: UsageStore, now: float) -> None:
    chance = random.Random(1)
    for part in range(0, REQUESTS, 10_000):
        store.add_requests(_request(chance, now, number) for number in range(part, part + 10_000))
        while store.has_unwritten:
            time.sleep(0.01)
    for number in range(8000):
        state = CYCLE[number % 4]
        store.add_change(
            StateChange(
                at=now - 31 * DAY + number * 300,
                model=f"model-{number // 4 % MODELS}",
                run=number // 4,
                state=state,
                before=CYCLE[number % 4 - 1],
                after=20.0,
                stop_reason="evicted" if state in ("stopping", "stopped") else None,
                text="making room for another" if state in ("stopping", "stopped") else "",
            )
        )
    while store.has_unwritten:
        time.sleep(0.01)


def _request(chance: random.Random, now: float, number: int) -> RequestRecord:
    return RequestRecord(
        ended=now - (REQUESTS - number) * 25,
        id=f"req-{chance.getrandbits(96):024x}",
        model=f"model-{chance.randrange(MODELS)}",
        asked="a-model-by-its-alias",
        client=chance.choice(("anonymous", "owner", "children")),
        program=chance.choice(("", "opencode", "cline")),
        endpoint="/v1/chat/completions",
        status=chance.choice((200,) * 20 + (400, 429, 499, 503)),
        streamed=True,
        first_token_seconds=chance.choice((None, chance.random())),
        seconds=chance.random() * 30,
        tokens_in=chance.choice((None, chance.randrange(10_000))),
        tokens_out=chance.randrange(1000),
        rewrites=("system-first", "tool-schemas"),
    )


if __name__ == "__main__":
    main()
