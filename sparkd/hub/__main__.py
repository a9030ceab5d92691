"""`python -m sparkd.hub ORDER`: fetch what a model needs, and tell how far it is, a line of JSON each.

Started by the daemon and by sparkctl (sparkd.hub.ordering). Ends at once when its standard input does, so that nothing
of it outlives who started it; the next one goes on where this one stopped.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec

from sparkd.hub import encodings, reading
from sparkd.hub.explaining import Attempt, failed
from sparkd.hub.fetching import Fetcher, Meter, sole_fetcher
from sparkd.hub.listing import Listing
from sparkd.hub.needs import Need
from sparkd.hub.ordering import Order
from sparkd.hub.telling import Done, Failed, Told, line


def main(argument: str) -> int:
    """Carry out one order; return 0 when all is there."""
    order = msgspec.json.decode(argument, type=Order)
    if order.owner is not None:
        _become(*order.owner)
    logging.disable()  # the library's warnings about retries; what matters is told
    threading.Thread(target=_end_with_starter, daemon=True).start()
    told = _Work(order).carry_out()
    _tell(told)
    return 1 if isinstance(told, Failed) else 0


class _Work:
    """One order."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._models = Path(order.models)
        self._token = os.environ.get("HF_TOKEN")
        self._meter = Meter(_tell)
        self._fetcher = Fetcher(self._models, self._token, self._meter)
        self._now = Need("")
        self._notes: list[str] = []

    def carry_out(self) -> Done | Failed:
        """Fetch all of it; whatever goes wrong is told, not raised."""
        try:
            commits = self._fetch()
        except Exception as error:  # noqa: BLE001  # it is explained to whoever started us
            return self._failed(error)
        return Done(fetched=self._meter.fetched, commits=commits, notes=tuple(self._notes))

    def _failed(self, error: Exception) -> Failed:
        now = self._now
        attempt = Attempt(now.source, now.revision, token=bool(self._token), state=self._order.state)
        return failed(error, attempt)

    def _fetch(self) -> dict[str, str]:
        with ExitStack() as locks:
            for need in self._order.sources:
                self._meter.source, self._now = need.source, need
                locks.enter_context(sole_fetcher(self._models, need.source, self._meter))
            listings = list(self._listings())
            missing = encodings.missing(self._order.encodings, self._models)
            left = sum(encodings.PUBLISHED[name].size for name in missing)
            self._fetcher.check_room(listings, left)
            for listing in listings:
                self._meter.source, self._now = listing.source, Need(listing.source, listing.revision)
                if self._order.verify and (bad := self._fetcher.verify(listing)):
                    self._notes.append(f"downloaded again because they had changed on disk: {', '.join(bad)}")
                self._fetcher.fetch(listing)
            if missing:
                self._now = Need("tiktoken's encodings")
                base = os.environ.get("TIKTOKEN_ENCODINGS_BASE", encodings.PUBLISHED_AT)
                self._fetcher.fetch_encodings(missing, base)
        return {listing.source: listing.commit for listing in listings}

    def _listings(self) -> Iterator[Listing]:
        for need in self._order.sources:
            self._meter.source, self._meter.step, self._now = need.source, "asking", need
            self._meter.tell()
            try:
                yield self._fetcher.ask(need)
            except Exception as error:
                why = self._failed(error)
                whole = reading.look_at(need, self._models).state == "whole"
                if self._order.verify or not whole or why.reason not in ("unreachable", "rate_limited"):
                    raise
                told = f"{need.source} is complete on disk, but sparkd cannot check for a newer version: {why.message}"
                self._notes.append(told)


_telling = threading.Lock()


def _tell(told: Told) -> None:
    with _telling:
        sys.stdout.buffer.write(line(told))
        sys.stdout.buffer.flush()


def _become(user: int, group: int) -> None:
    """Give up root, before anything comes from the network: the files shall be the owner's, and only theirs at risk."""
    "".encode("idna")  # else Python looks for it later, perhaps in a folder that is root's alone
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)


def _end_with_starter() -> None:
    while os.read(sys.stdin.fileno(), 4096):  # not sys.stdin itself: it must not be locked when Python ends
        continue
    os._exit(3)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
