"""Edits an event stream on its way to the client: errors get the shape of the API, and the model its name.

Only complete lines are looked at: a client cannot use an incomplete one either. Most reads end with a complete event,
and are not copied.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sparkd.errors import EngineRejected
from sparkd.gateway.measuring.usage_filter import UsageFilter
from sparkd.gateway.responses.errors import Dialect, error_data
from sparkd.gateway.responses.model_echo import ModelEcho

LONGEST_LINE = 16 * 1024 * 1024
"""Bytes. A longer line is not changed; the last event of /v1/responses repeats the instructions and the output."""

_error = re.compile(rb'data: ?\{"(?:error"|detail"|(?:object|type)": ?"error")')
"""How the data of an event with an error begins. A text in JSON cannot have these bytes: its quotes are escaped."""

_ERROR_LINE = b"event: error"


class EventStream:
    """Edits one event stream. `read_error` reads the error in the data of an event; None if it is not an error.

    `usage_filter` takes out the usage that the client did not ask for.
    """

    def __init__(
        self,
        dialect: Dialect,
        request_id: bytes,
        echo: ModelEcho | None,
        read_error: Callable[[bytes], EngineRejected | None],
        usage_filter: UsageFilter | None = None,
    ) -> None:
        self._dialect: Dialect = dialect
        self._request_id = request_id
        self._echo = echo
        self._read_error = read_error
        self._usage_filter = usage_filter
        self._held: list[bytes] = []
        self._held_size = 0
        self._previous = b""
        """The lines that were returned last."""
        self.error: EngineRejected | None = None

    def feed(self, data: bytes, *, more: bool) -> bytes:
        """Take a piece of the stream; return what can be sent on, all of it if there is no `more`."""
        if self._held or (more and data[-1:] != b"\n"):
            data = self._complete_lines(data, more=more)
        if self._usage_filter is not None:
            data = self._usage_filter.feed(data, more=more)
        if self._echo is not None:
            data = self._echo.in_events(data)
        if (b'error"' in data or b'{"detail"' in data) and _error.search(data) is not None:
            data = b"".join(self._edit(data))
        if data:
            self._previous = data
        return data

    def _complete_lines(self, data: bytes, *, more: bool) -> bytes:
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if not more or self._held_size + len(data) > LONGEST_LINE:
            end = len(data)
        elif not end:
            self._hold(data)
            return b""
        lines = b"".join((*self._held, data[:end]))
        self._held.clear()
        self._held_size = 0
        self._hold(data[end:])
        return lines

    def _hold(self, data: bytes) -> None:
        if data:
            self._held.append(data)
            self._held_size += len(data)

    def _edit(self, lines: bytes) -> list[bytes]:
        edited: list[bytes] = []
        before = self._previous.splitlines()[-1:]
        for line in lines.splitlines(keepends=True):
            error = self._read_error(line[line.find(b"{") :]) if _error.match(line) else None
            if error is None:
                edited.append(line)
                before = [line.rstrip()]
                continue
            self.error = error
            if self._dialect != "openai" and before != [_ERROR_LINE]:
                edited.append(_ERROR_LINE + b"\n")
            data = error_data(error, self._dialect, self._request_id)
            edited.append(b"data: " + data + line[len(line.rstrip()) :])
        return edited
