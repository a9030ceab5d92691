"""Logs the daemon's lines: to systemd's journal with searchable fields, or as readable text to a terminal.

Protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
"""

from __future__ import annotations

import logging
import os
import socket
from typing import Any, Final

from sparkd.journal.outbox import Outbox

SOCKET: Final = "/run/systemd/journal/socket"

MAX_MESSAGE: Final = 64 * 1024
"""Characters of a message. A datagram of this size always fits into the socket's buffer."""

MAX_QUEUED: Final = 1000
"""Lines of the daemon that may wait while the journal is busy."""

PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""Lowest level, and its number in syslog(3). Lower levels are 7, debug."""


def event(name: str, model: str | None = None, **fields: object) -> dict[str, dict[str, object]]:
    """Return the `extra=` of a log call, so that `EVENT=name` and `MODEL=model` find the line in the journal."""
    about = {} if model is None else {"MODEL": model}
    return {"fields": {"EVENT": name, **about, **fields}}


def make_handler() -> logging.Handler:
    """Return a handler that writes to the journal if stderr is connected to it, otherwise to stderr."""
    if (sock := connect_journal()) is not None:
        return _JournalHandler(sock)
    readable = logging.StreamHandler()
    readable.setFormatter(logging.Formatter("%(asctime)s %(levelname)-8s %(message)s", datefmt="%H:%M:%S"))
    return readable


def connect_journal() -> socket.socket | None:
    """Return a nonblocking socket to the journal. None unless stderr is connected to it (systemd.exec(5),
    JOURNAL_STREAM), or if it cannot be reached."""
    if not _is_journal_stream(2):
        return None
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        sock.connect(SOCKET)
    except OSError:  # the journal's socket is not reachable
        sock.close()
        return None
    return sock


def encode_entry(fields: dict[str, Any]) -> bytes:
    """Encode one entry as a datagram of the journal's protocol."""
    return b"".join(_encode_field(name, str(value)) for name, value in fields.items())


class _JournalHandler(logging.Handler):
    """Sends each line as one datagram."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))  # the journal adds time and priority
        self._outbox = Outbox(sock, MAX_QUEUED)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send the line. Never waits for the journal. The line after lost ones has their number in LINES_LOST."""
        fields: dict[str, Any] = {
            "MESSAGE": self.format(record)[:MAX_MESSAGE],
            "PRIORITY": next((number for level, number in PRIORITIES if record.levelno >= level), 7),
            "SYSLOG_IDENTIFIER": "sparkd",
            **getattr(record, "fields", {}),
        }
        if self._lost:
            fields["LINES_LOST"] = self._lost
        self._lost = 0 if self._outbox.add(encode_entry(fields)) else self._lost + 1
        self._outbox.send()

    def flush(self) -> None:
        """Wait up to FLUSH_TIMEOUT for the journal to accept the queued lines."""
        self._outbox.flush()


def _encode_field(name: str, value: str) -> bytes:
    data = value.encode(errors="replace")
    if b"\n" not in data:
        return b"%s=%s\n" % (name.encode(), data)
    return b"%s\n%s%s\n" % (name.encode(), len(data).to_bytes(8, "little"), data)


def _is_journal_stream(fd: int) -> bool:
    stream_id = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(fd)
    except OSError:
        return False
    return stream_id == f"{status.st_dev}:{status.st_ino}"
