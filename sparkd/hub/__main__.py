"""`python -m sparkd.hub REQUEST`: downloads what a model needs, and reports its progress as lines of JSON.

The daemon and sparkctl start it (sparkd.hub.request). It exits as soon as its standard input closes, so it never
outlives the process that started it. The next process resumes where it stopped.
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

from sparkd.hub import encodings, inspection
from sparkd.hub.downloader import Downloader, Meter, exclusive_download
from sparkd.hub.explanations import DownloadAttempt, explain_error
from sparkd.hub.listing import Listing
from sparkd.hub.messages import Done, Failed, Message, encode_line
from sparkd.hub.needs import Need
from sparkd.hub.request import DownloadRequest


def main(argument: str) -> int:
    """Carry out one request; return 0 when everything is complete."""
    request = msgspec.json.decode(argument, type=DownloadRequest)
    if request.owner is not None:
        _drop_privileges(*request.owner)
    logging.disable()  # the library's warnings about retries; this process reports what matters
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    message = _DownloadRun(request).run()
    _report(message)
    return 1 if isinstance(message, Failed) else 0


class _DownloadRun:
    """One request."""

    def __init__(self, request: DownloadRequest) -> None:
        self._request = request
        self._models = Path(request.models)
        self._token = os.environ.get("HF_TOKEN")
        self._meter = Meter(_report)
        self._downloader = Downloader(self._models, self._token, self._meter)
        self._current = Need("")
        self._notes: list[str] = []

    def run(self) -> Done | Failed:
        """Download everything. Errors are returned, not raised."""
        try:
            commits = self._download_all()
        except Exception as error:  # noqa: BLE001  # it is explained to the process that started this one
            return self._explain(error)
        return Done(downloaded=self._meter.downloaded, commits=commits, notes=tuple(self._notes))

    def _explain(self, error: Exception) -> Failed:
        current = self._current
        attempt = DownloadAttempt(
            current.source, current.revision, token=bool(self._token), state=self._request.state
        )
        return explain_error(error, attempt)

    def _download_all(self) -> dict[str, str]:
        with ExitStack() as locks:
            for need in self._request.sources:
                self._meter.source, self._current = need.source, need
                locks.enter_context(exclusive_download(self._models, need.source, self._meter))
            listings = list(self._listings())
            missing = encodings.find_missing(self._request.encodings, self._models)
            left = sum(encodings.PUBLISHED[name].size for name in missing)
            self._downloader.check_space(listings, left)
            for listing in listings:
                self._meter.source, self._current = listing.source, Need(listing.source, listing.revision)
                if self._request.verify and (bad := self._downloader.verify(listing)):
                    self._notes.append(f"downloaded again because they had changed on disk: {', '.join(bad)}")
                self._downloader.download(listing)
            if missing:
                self._current = Need("tiktoken's encodings")
                base = os.environ.get("TIKTOKEN_ENCODINGS_BASE", encodings.BASE_URL)
                self._downloader.download_encodings(missing, base)
        return {listing.source: listing.commit for listing in listings}

    def _listings(self) -> Iterator[Listing]:
        for need in self._request.sources:
            self._meter.source, self._meter.step, self._current = need.source, "listing", need
            self._meter.report()
            try:
                yield self._downloader.list_files(need)
            except Exception as error:
                why = self._explain(error)
                complete = inspection.inspect_source(need, self._models).state == "complete"
                if self._request.verify or not complete or why.reason not in ("unreachable", "rate_limited"):
                    raise
                note = f"{need.source} is complete on disk, but sparkd cannot check for a newer version: {why.message}"
                self._notes.append(note)


_report_lock = threading.Lock()


def _report(message: Message) -> None:
    with _report_lock:
        sys.stdout.buffer.write(encode_line(message))
        sys.stdout.buffer.flush()


def _drop_privileges(user: int, group: int) -> None:
    """Drop root before any data comes from the network: the files belong to the owner, and only they are at risk."""
    "".encode("idna")  # loads the codec now; later its folder may be readable for root only
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)


def _exit_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 4096):  # not sys.stdin itself: it must not be locked when Python exits
        continue
    os._exit(3)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
