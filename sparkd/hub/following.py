"""One process that fetches, followed on the event loop to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sparkd.errors import FetchFailed, SparkdError
from sparkd.hub.ordering import Order
from sparkd.hub.telling import Done, Failed, Progress, failure_of, read_line


@dataclass(slots=True)
class Fetch:
    """What is fetched, for which models, and who waits for it.

    `ended` is why it ended, None where all is there; `waiting` counts requests by the model's id; `verdict` is what
    those are told where we end it.
    """

    order: Order
    names: list[str]
    ended: asyncio.Future[SparkdError | None]
    progress: Progress = field(default_factory=Progress)
    process: asyncio.subprocess.Process | None = None
    waiting: dict[str, int] = field(default_factory=dict)
    verdict: SparkdError | None = None

    async def carry_out(self, argv: Sequence[str], environ: Mapping[str, str]) -> SparkdError | None:
        """Run the process to its end, and return why that came too early, None where it did not."""
        try:
            error = await self._run(argv, environ)
        except OSError as refused:
            error = FetchFailed(f"Cannot start the download: {refused}.")
        return self.verdict or error

    def end(self, verdict: SparkdError) -> None:
        """End the process; the next one goes on with what has arrived. Of two verdicts the first counts."""
        self.verdict = self.verdict or verdict
        self._kill()

    async def _run(self, argv: Sequence[str], environ: Mapping[str, str]) -> FetchFailed | None:
        """Raises OSError where the process cannot be started."""
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=pipe, stdout=pipe, stderr=nothing, env=environ, cwd="/"
        )
        self.process = process
        if self.verdict:  # it came while the process was being started
            self._kill()
        last: Done | Failed | None = None
        try:
            while process.stdout and (text := await process.stdout.readline()):
                match read_line(text):
                    case Progress() as progress:
                        self.progress = progress
                    case Done() | Failed() as last:
                        pass
        except ValueError:  # a line that is longer than asyncio's buffer, which no line of ours is
            self._kill()
        status = await process.wait()
        return None if isinstance(last, Done) else failure_of(last, status)

    def _kill(self) -> None:
        if self.process and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.kill()
