"""A full record of the past, for benchmarks: requests, state changes, sessions, and the minutes of a month."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from sparkd.storage.database import open_database
from sparkd.usage.batch import Batch, write_batch
from sparkd.usage.records import Measurement, Occurrence, RequestRecord, StateChange
from sparkd.usage.tables import SCHEMA

T = TypeVar("T")

DAYS: Final = 31
CHANGES: Final = 100_000
OCCURRENCES: Final = 2000
CHUNK: Final = 10_000
CLIENTS: Final = ("anonymous", "alice", "bob", "build-server", "children")
PROGRAMS: Final = ("", "Claude Code", "Codex", "Zed", "Open WebUI", "aider")
STATUSES: Final = (200,) * 17 + (429, 499, 503)
CYCLE: Final = ("starting", "ready", "stopping", "stopped")


def fill_usage(path: Path, models: Sequence[str], requests: int) -> None:
    """Write a month that ends now."""
    now, chance = time.time(), random.Random(1)
    connection = open_database(path, SCHEMA, synchronous="NORMAL").connection
    try:
        connection.execute("BEGIN")
        began = now - DAYS * 86400
        connection.executemany(
            "INSERT INTO sessions (began, seen, ended, version) VALUES (?, ?, ?, '1')",
            [(began + day * 86400, began + day * 86400 + 86300, None) for day in range(DAYS)],
        )
        for batch in (
            *(Batch(requests=part) for part in _split(list_requests(now, models, requests, chance))),
            *(Batch(changes=part) for part in _split(list_changes(now, models, chance))),
            *(Batch(measurements=part) for part in _split(list_minutes(now, chance))),
            *(Batch(occurrences=part) for part in _split(list_occurrences(now, models))),
        ):
            write_batch(connection, batch)
        connection.execute("COMMIT")
    finally:
        connection.close()


def _split(records: Iterator[T]) -> Iterator[list[T]]:
    while part := list(islice(records, CHUNK)):
        yield part


def list_requests(
    now: float, models: Sequence[str], count: int, chance: random.Random
) -> Iterator[RequestRecord]:
    """Requests of a month, most of them of a few models."""
    for number in range(count):
        status = chance.choice(STATUSES)
        tokens = chance.randrange(1, 3000)
        model = models[min(len(models) - 1, int(chance.expovariate(0.02)))]
        yield RequestRecord(
            ended=now - DAYS * 86400 * (count - number) / count,
            id=f"req-{number:06}-{chance.randrange(1 << 32):08x}",
            model=model,
            asked=model,
            client=chance.choice(CLIENTS),
            program=chance.choice(PROGRAMS),
            endpoint="/v1/chat/completions",
            status=status,
            code="" if status < 400 else "queue_full",
            streamed=True,
            first_token_seconds=chance.random() if status < 400 else None,
            seconds=1 + 20 * chance.random(),
            tokens_in=chance.randrange(10_000) if status < 400 else None,
            tokens_out=tokens if status < 400 else None,
            rewrites=("merge-system", "cap-tokens") if number % 3 else (),
        )


def list_changes(now: float, models: Sequence[str], chance: random.Random) -> Iterator[StateChange]:
    """State changes of a month: runs of models, one after the other."""
    step = DAYS * 86400 / CHANGES
    for number in range(CHANGES):
        run, place = divmod(number, len(CYCLE))
        model = models[(run * 7919) % min(len(models), 300)] if run % 10 else models[run % len(models)]
        yield StateChange(
            at=now - DAYS * 86400 + number * step,
            model=model,
            run=run,
            state=CYCLE[place],
            after=step * chance.random(),
            before=CYCLE[place - 1],
            stop_reason="evicted" if CYCLE[place] in ("stopping", "stopped") else None,
            text=f"{model} was evicted: another model needs its memory." if place > 1 else "",
            evicted_for=models[0] if place > 1 else "",
        )


def list_occurrences(now: float, models: Sequence[str]) -> Iterator[Occurrence]:
    """Other events of a month."""
    for number in range(OCCURRENCES):
        at = now - DAYS * 86400 * (OCCURRENCES - number) / OCCURRENCES
        yield Occurrence(at=at, kind="guard" if number % 5 == 0 else "downloaded", model=models[number % 50])


def list_minutes(now: float, chance: random.Random) -> Iterator[Measurement]:
    """The measurements of each minute of a month, all fields known."""
    last = now // 60 * 60
    for number in range(DAYS * 1440):
        yield Measurement(
            at=last - 60 * (DAYS * 1440 - number - 1),
            tokens_in=chance.random() * 1000,
            tokens_out=chance.random() * 100,
            in_flight=chance.random() * 4,
            waiting=chance.random(),
            available=1e9 * chance.random(),
            used=1e9 * chance.random(),
            gpu=chance.random(),
            temperature=40 + 30 * chance.random(),
            power=30 + 70 * chance.random(),
            clock=1e9,
            pressure=chance.random() / 10,
            peak_out=100 * chance.random(),
        )
