"""Methods about logs: the daemon's own lines, and the files of a model's runs."""

from __future__ import annotations

from collections.abc import Generator
from urllib.parse import quote

from sparkd.control.client.connection import ControlConnection
from sparkd.journal.lines import LineFilter, LogLine
from sparkd.processes.log_archive import LogFileInfo


class LogMethods(ControlConnection):
    """Methods about logs. `name` is a model's id or alias."""

    def own_lines(
        self, wanted: LineFilter, *, lines: int = 200, follow: bool = False
    ) -> Generator[LogLine, None, None]:
        """The daemon's last `lines` lines; with `follow`, also each new one until the daemon ends."""
        query = {
            "lines": str(lines),
            "follow": "1" if follow else "0",
            "level": wanted.level,
            "event": wanted.event,
            "model": wanted.model,
            "request": wanted.request,
        }
        for line in self._stream_lines("/log", query=query, silence=None if follow else self._timeout):
            if line:
                yield self._decode(line, LogLine)

    def log_files(self, name: str) -> list[LogFileInfo]:
        """The log files of the model's runs, the newest first."""
        return self._request("GET", f"/models/{quote(name, safe='')}/runs", list[LogFileInfo])

    def log_file(self, name: str, file: str, *, lines: int = 200) -> Generator[str, None, None]:
        """The last `lines` lines of one of these files."""
        yield from self._stream_lines(
            f"/models/{quote(name, safe='')}/runs/{quote(file, safe='')}",
            query={"lines": str(lines)},
            silence=self._timeout,
        )
