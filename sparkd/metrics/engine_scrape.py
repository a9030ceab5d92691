"""Asks the ready engines for their own metrics, all at once.

It uses each engine's address directly: no lease, no ticket, no request in the scheduler's ledger. So a scrape never
counts as use: the model stays as idle as it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from sparkd.errors import UpstreamError
from sparkd.metrics.engine_merging import merge
from sparkd.upstream.client import EngineRequest, Upstream
from sparkd.upstream.connection import Flow
from sparkd.upstream.headers import Headers

logger = logging.getLogger(__name__)

PATH: Final = b"/metrics"

TIMEOUT: Final = 2.0
"""Seconds for an engine to send its metrics."""

MAX_TEXT: Final = 4 * 1024 * 1024
"""Bytes of an engine's metrics. vLLM has some 100 KB."""

WITHOUT_METRICS: Final = frozenset({404, 405, 501})
"""Statuses of an engine that has no metrics, which is not an error: llama.cpp without `--metrics`, for example."""

_HEADERS: Final[Headers] = [(b"host", b"engine"), (b"accept", b"text/plain;version=0.0.4")]


class _Unusable(UpstreamError):
    """The engine's response is not what was asked for."""


class EngineScrape:
    """Reads the metrics of all ready engines. `upstreams` returns these by the ids of their models.

    `on_scrape` is called with the id of each model, and whether its metrics, or a part of them, could not be read.
    """

    def __init__(
        self,
        upstreams: Callable[[], Mapping[str, Upstream]],
        on_scrape: Callable[[str, bool], None],
        *,
        timeout: float = TIMEOUT,
    ) -> None:
        self._upstreams = upstreams
        self._on_scrape = on_scrape
        self._timeout = timeout
        self._reported: dict[str, str] = {}

    async def run(self) -> bytes:
        """Return the text with the metrics of all engines. Takes two seconds at most, and the time to join them."""
        asked = self._upstreams()
        answers = await asyncio.gather(*(self._ask(upstream) for upstream in asked.values()))
        found = dict(zip(asked, answers, strict=True))
        texts = {model: answer for model, answer in found.items() if isinstance(answer, bytes)}
        problems = {
            model: str(answer) for model, answer in found.items() if isinstance(answer, UpstreamError)
        }
        merged = await asyncio.to_thread(merge, texts, list(problems))
        self._report(asked, {**merged.problems, **problems})
        return merged.body

    async def _ask(self, upstream: Upstream) -> bytes | UpstreamError | None:
        """The engine's text, or what is wrong with it. None if it has no metrics."""
        sink = _TextSink()
        try:
            async with asyncio.timeout(self._timeout):
                await upstream.exchange(EngineRequest(b"GET", PATH, list(_HEADERS)), sink)
        except TimeoutError:
            return _Unusable(f"there was no complete answer within {self._timeout:g} seconds")
        except UpstreamError as error:
            return error
        if sink.status == 200:
            return bytes(sink.text)
        if sink.status in WITHOUT_METRICS:
            return None
        return _Unusable(f"the engine answered with status {sink.status}")

    def _report(self, asked: Iterable[str], problems: dict[str, str]) -> None:
        """Count every problem, and log each once for as long as it stays the same."""
        for model in asked:
            self._on_scrape(model, model in problems)
        for model, reason in problems.items():
            if self._reported.get(model) != reason:
                logger.warning('Cannot read the metrics of model "%s": %s', model, reason)
        self._reported = problems


class _TextSink:
    """Keeps the status and the text. A text that is too long ends the exchange."""

    def __init__(self) -> None:
        self.status = 0
        self.text = bytearray()

    def head(self, status: int, headers: Headers, flow: Flow) -> None:  # noqa: ARG002
        self.status = status
        for name, value in headers:
            if name == b"content-length" and int(value) > MAX_TEXT:
                self._refuse()

    def body(self, data: bytes, *, more: bool) -> None:  # noqa: ARG002
        """Append a piece."""
        if len(self.text) + len(data) > MAX_TEXT:
            self._refuse()
        self.text += data

    def _refuse(self) -> None:
        raise _Unusable(f"its metrics are longer than {MAX_TEXT // 1024**2} MiB")
