"""Sends an engine's output to systemd's journal, with an identifier of its own: `journalctl -t vllm-qwen`.

The entries belong to the daemon's unit, so `journalctl -u sparkd MODEL=qwen` shows them beside sparkd's own lines about
the model. The journal limits the entries of a unit, no matter which process sends them (RateLimitBurst= of
journald.conf(5): 10,000 in 30 seconds). An engine that floods its output is therefore limited here, so that no lines
of sparkd or of other engines are lost. The engine's log file has all of its lines.
"""

from __future__ import annotations

import re
import socket
from typing import Any, Final

from sparkd.journal.handler import connect_journal, encode_entry
from sparkd.journal.outbox import Outbox
from sparkd.journal.token_bucket import TokenBucket

RATE: Final = 50.0
BURST: Final = 1500.0
"""Lines per second, and lines at once. A start of vLLM with a traceback from each of its processes fits. Three engines
that flood their output together stay below the journal's limit for a unit."""

PRIORITIES: Final = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "WARN": 4, "ERROR": 3, "CRITICAL": 2, "FATAL": 2}
"""The priority in syslog(3) of each level name."""

DEFAULT_PRIORITY: Final = 6
"""Priority of a line without a level name: info."""

LEVEL_NAME: Final = re.compile(r"\s*(?:\([^)]*\) *)?\[?(" + "|".join(PRIORITIES) + r")\b")
"""The level name in a line of vLLM 0.32, which follows the name of the process:
`(EngineCore pid=7) WARNING 11-22 05:51:05 […] …`. Also matches a level name at the beginning of a line."""

ACCESS_LINE: Final = re.compile(r'"[A-Z]+ /\S* HTTP/1\.\d" 2\d\d\b')
"""uvicorn's line about one successful request. It gets the priority debug."""


class EngineJournal:
    """Sends the lines of one process, one entry per line. Belongs to one event loop. `fields` are added to every entry.

    Never waits: what the journal does not accept at once is sent later. Lines above the limit are dropped, and an entry
    reports their number.
    """

    def __init__(
        self, sock: socket.socket, fields: dict[str, Any], *, rate: float = RATE, burst: float = BURST
    ) -> None:
        self._outbox = Outbox(sock, int(burst))
        self._fields = encode_entry(fields)
        self._rate_limit = TokenBucket(rate, burst)
        self._rate = rate
        self._dropped = 0

    def write(self, lines: list[str]) -> None:
        """Queue the lines, and send as many as the journal accepts now."""
        for line in lines:
            # After a gap, wait for one second's credit: a flood then causes one notice per second, not one per line.
            cost = self._rate if self._dropped else 1.0
            if not self._rate_limit.try_take(cost):
                self._dropped += 1
                continue
            self._report_dropped()
            self._dropped += not self._queue_entry(parse_priority(line), line)
        self._outbox.send()

    def close(self) -> None:
        """Send the queued lines as soon as the journal accepts them, then close."""
        self._report_dropped()
        self._outbox.close()

    def _report_dropped(self) -> None:
        notice = f"[sparkd: {self._dropped} lines are not in the journal; `sparkctl logs` has them]"
        if self._dropped and self._queue_entry(4, notice):
            self._dropped = 0

    def _queue_entry(self, severity: int, line: str) -> bool:
        return self._outbox.add(self._fields + encode_entry({"PRIORITY": severity, "MESSAGE": line}))


def open_engine_journal(engine: str, model: str) -> EngineJournal | None:
    """Open the journal for an engine's output. Return None if stderr is not connected to the journal."""
    sock = connect_journal()
    if sock is None:
        return None
    return EngineJournal(sock, {"SYSLOG_IDENTIFIER": f"{engine}-{model}", "MODEL": model})


def parse_priority(line: str) -> int:
    """Return the priority of a line, a number of syslog(3), from the level name in it."""
    match = LEVEL_NAME.match(line)
    level = PRIORITIES[match[1]] if match else DEFAULT_PRIORITY
    return 7 if level == DEFAULT_PRIORITY and ACCESS_LINE.search(line) else level
