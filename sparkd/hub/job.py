"""Runs one download process on the event loop until it exits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

from msgspec import Struct, field

from sparkd.errors import DownloadFailed, SparkdError
from sparkd.hub.messages import Done, Failed, Progress, decode_line, make_error
from sparkd.hub.request import DownloadRequest


class DownloadJob(Struct):
    """A download: its request, the models it is for, and the requests that wait for it.

    `ended` is the reason for its end, None if everything is complete. `waiting` counts requests by model id. `reason`
    is the error for these requests if sparkd ends the download.
    """

    request: DownloadRequest
    names: list[str]
    ended: asyncio.Future[SparkdError | None]
    progress: Progress = field(default_factory=Progress)
    process: asyncio.subprocess.Process | None = None
    waiting: dict[str, int] = field(default_factory=dict)
    reason: SparkdError | None = None

    async def run(self, argv: Sequence[str], environ: Mapping[str, str]) -> SparkdError | None:
        """Run the process until it exits. Return the error, None if everything is complete."""
        try:
            error = await self._run(argv, environ)
        except OSError as refused:
            error = DownloadFailed(f"Cannot start the download: {refused}.")
        return self.reason or error

    def stop(self, reason: SparkdError) -> None:
        """Kill the process; the next one resumes. If called twice, the first reason counts."""
        self.reason = self.reason or reason
        self._kill()

    async def _run(self, argv: Sequence[str], environ: Mapping[str, str]) -> DownloadFailed | None:
        """Raises OSError if the process cannot be started."""
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=pipe, stdout=pipe, stderr=nothing, env=environ, cwd="/"
        )
        self.process = process
        if self.reason:  # `stop` was called while the process was starting
            self._kill()
        last: Done | Failed | None = None
        try:
            while process.stdout and (text := await process.stdout.readline()):
                match decode_line(text):
                    case Progress() as progress:
                        self.progress = progress
                    case Done() | Failed() as last:
                        pass
        except ValueError:  # a line longer than asyncio's buffer; this program writes none
            self._kill()
        status = await process.wait()
        return None if isinstance(last, Done) else make_error(last, status)

    def _kill(self) -> None:
        if self.process and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.kill()
