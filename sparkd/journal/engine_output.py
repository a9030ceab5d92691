"""An engine's lines on their way into systemd's journal, under an identifier of its own: `journalctl -t vllm-qwen`.

They are the daemon's entries, so `journalctl -u sparkd MODEL=qwen` has them beside what sparkd says of the model. The
journal limits what one unit may say (RateLimitBurst= of journald.conf(5): 10,000 entries in 30 seconds), whoever in
it speaks; so an engine that shouts is cut here, where it costs nobody else's lines. The log file has all of them.
"""

from __future__ import annotations

import re
import socket
from typing import Any, Final

from sparkd.journal.bucket import Bucket
from sparkd.journal.handler import entry, journal_socket
from sparkd.journal.outbox import Outbox

RATE: Final = 50.0
BURST: Final = 1500.0
"""Lines a second, and at once: a start of vLLM with a traceback of each of its processes fits. Three engines that
shout are then still below what the journal takes of a unit."""

PRIORITIES: Final = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "WARN": 4, "ERROR": 3, "CRITICAL": 2, "FATAL": 2}
"""What level words mean, in syslog(3)'s numbers."""

UNSAID: Final = 6
"""Priority of a line that does not say how bad it is: info."""

LEVEL: Final = re.compile(r"\s*(?:\([^)]*\) *)?\[?(" + "|".join(PRIORITIES) + r")\b")
"""The level word of vLLM 0.32, behind the process that speaks: `(EngineCore pid=7) WARNING 11-22 05:51:05 […] …`;
and of others that put it first."""

ACCESS: Final = re.compile(r'"[A-Z]+ /\S* HTTP/1\.\d" 2\d\d\b')
"""A line of uvicorn's about one request that went well. That is worth no more than a debug line."""


class EngineJournal:
    """Lines of one process, each an entry. Belongs to one event loop. `fields` are in every entry.

    Never waits: what the journal does not take at once is sent when it does. What exceeds the limit is dropped, and
    an entry says how many lines that were.
    """

    def __init__(
        self, door: socket.socket, fields: dict[str, Any], *, rate: float = RATE, burst: float = BURST
    ) -> None:
        self._outbox = Outbox(door, int(burst))
        self._fields = entry(fields)
        self._bucket = Bucket(rate, burst)
        self._rate = rate
        self._dropped = 0

    def write(self, lines: list[str]) -> None:
        """Take the lines, and send what the journal takes now."""
        for line in lines:
            # Behind a gap a second's credit at once: a flood is then a notice a second, and not one before each line.
            cost = self._rate if self._dropped else 1.0
            if not self._bucket.affords(cost):
                self._dropped += 1
                continue
            self._note_dropped()
            self._dropped += not self._put(priority(line), line)
        self._outbox.send()

    def close(self) -> None:
        """Send what waits as soon as the journal takes it, then close."""
        self._note_dropped()
        self._outbox.close()

    def _note_dropped(self) -> None:
        told = f"[sparkd: {self._dropped} lines are not in the journal; `sparkctl logs` has them]"
        if self._dropped and self._put(4, told):
            self._dropped = 0

    def _put(self, severity: int, line: str) -> bool:
        return self._outbox.add(self._fields + entry({"PRIORITY": severity, "MESSAGE": line}))


def engine_journal(engine: str, model: str) -> EngineJournal | None:
    """Where an engine's lines go besides its log, None outside systemd."""
    door = journal_socket()
    if door is None:
        return None
    return EngineJournal(door, {"SYSLOG_IDENTIFIER": f"{engine}-{model}", "MODEL": model})


def priority(line: str) -> int:
    """How bad a line is by its own words, in syslog(3)'s numbers."""
    found = LEVEL.match(line)
    level = PRIORITIES[found[1]] if found else UNSAID
    return 7 if level == UNSAID and ACCESS.search(line) else level
