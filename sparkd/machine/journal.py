"""Where the daemon's lines go: into systemd's journal with fields to search by, or readable onto a terminal.

Protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
"""

from __future__ import annotations

import logging
import os
import socket
from typing import Any, Final

SOCKET: Final = "/run/systemd/journal/socket"

LONGEST: Final = 64 * 1024
"""Bytes of a message; a datagram of ours always fits into the socket's buffer."""

PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""Least level and what syslog(3) calls it; less is 7, debug."""


def event(name: str, model: str, **fields: object) -> dict[str, dict[str, object]]:
    """`extra=` for a line about a model: it is then found with `EVENT=name` and `MODEL=model`."""
    return {"fields": {"EVENT": name, "MODEL": model, **fields}}


def handler() -> logging.Handler:
    """Where lines go: the journal if stderr leads there (systemd.exec(5), JOURNAL_STREAM), else stderr."""
    if _leads_to_journal(2):
        try:
            return _Journal()
        except OSError:  # there is none within reach
            pass
    readable = logging.StreamHandler()
    readable.setFormatter(logging.Formatter("%(asctime)s %(levelname)-8s %(message)s", datefmt="%H:%M:%S"))
    return readable


class _Journal(logging.Handler):
    """One datagram a line."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))  # the journal knows when, and how bad it is
        self._door = socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        )
        self._door.connect(SOCKET)
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
        try:
            self._door.send(b"".join(_encode(name, str(value)) for name, value in fields.items()))
            self._lost = 0
        except OSError:
            self._lost += 1


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
