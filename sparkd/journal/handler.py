"""Where the daemon's lines go: into systemd's journal with fields to search by, or readable onto a terminal.

Protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
"""

from __future__ import annotations

import logging
import os
import socket
from typing import Any, Final

from sparkd.journal.outbox import Outbox

SOCKET: Final = "/run/systemd/journal/socket"

LONGEST: Final = 64 * 1024
"""Bytes of a message; a datagram of ours always fits into the socket's buffer."""

MOST_WAITING: Final = 1000
"""Lines of the daemon's that wait for a journal that is busy."""

PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""Least level and what syslog(3) calls it; less is 7, debug."""


def event(name: str, model: str | None = None, **fields: object) -> dict[str, dict[str, object]]:
    """`extra=` for a line: it is then found with `EVENT=name`, where it is about a model with `MODEL=model`."""
    about = {} if model is None else {"MODEL": model}
    return {"fields": {"EVENT": name, **about, **fields}}


def handler() -> logging.Handler:
    """Where lines go: the journal if stderr leads there, else stderr."""
    if (door := journal_socket()) is not None:
        return _Journal(door)
    readable = logging.StreamHandler()
    readable.setFormatter(logging.Formatter("%(asctime)s %(levelname)-8s %(message)s", datefmt="%H:%M:%S"))
    return readable


def journal_socket() -> socket.socket | None:
    """A socket to the journal that never blocks, if stderr leads there (systemd.exec(5), JOURNAL_STREAM)."""
    if not _leads_to_journal(2):
        return None
    door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        door.connect(SOCKET)
    except OSError:  # there is none within reach
        door.close()
        return None
    return door


def entry(fields: dict[str, Any]) -> bytes:
    """One entry as the journal takes it, a datagram."""
    return b"".join(_encode(name, str(value)) for name, value in fields.items())


class _Journal(logging.Handler):
    """One datagram a line."""

    def __init__(self, door: socket.socket) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))  # the journal knows when, and how bad it is
        self._outbox = Outbox(door, MOST_WAITING)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send the line. A journal that does not take it must not hold us up: the next line says how many it lost."""
        fields: dict[str, Any] = {
            "MESSAGE": self.format(record)[:LONGEST],
            "PRIORITY": next((said for level, said in PRIORITIES if record.levelno >= level), 7),
            "SYSLOG_IDENTIFIER": "sparkd",
            **getattr(record, "fields", {}),
        }
        if self._lost:
            fields["LINES_LOST"] = self._lost
        self._lost = 0 if self._outbox.add(entry(fields)) else self._lost + 1
        self._outbox.send()

    def flush(self) -> None:
        """Give the journal a moment to take what waits."""
        self._outbox.flush()


def _encode(name: str, value: str) -> bytes:
    data = value.encode(errors="replace")
    if b"\n" not in data:
        return b"%s=%s\n" % (name.encode(), data)
    return b"%s\n%s%s\n" % (name.encode(), len(data).to_bytes(8, "little"), data)


def _leads_to_journal(fd: int) -> bool:
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return named == f"{found.st_dev}:{found.st_ino}"
