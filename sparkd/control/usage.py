"""The endpoints of finished requests, usage, and the history of models.

GET /requests?limit=&before=&after=&model=&client=&program=&endpoint=&status=&code=&from=&to=&text=&sort=&order=
GET /requests.csv                               the same, all pages
GET /usage?by=day|month&group=model,client,program&from=&to=&model=&client=&program=
GET /usage.csv
GET /history?from=&to=                          a lane for each model
GET /history/summary?from=&to=                  swaps by day, loads by model, what the memory guard did
GET /history/{model}?from=&to=                  one model
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec
from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from sparkd.control.csv_text import format_time, render_rows
from sparkd.control.usage_queries import parse_period, parse_request_query, parse_usage_query
from sparkd.usage.active import ActiveRequest
from sparkd.usage.reader import UsageReader
from sparkd.usage.records import RequestRecord
from sparkd.usage.request_query import MAX_LIMIT, RequestQuery
from sparkd.usage.usage_query import USAGE_COLUMNS, UsageQuery

HISTORY_DAYS: Final = 1.0
SUMMARY_DAYS: Final = 31.0
"""Days of a period without `from`."""

MAX_REPORTS: Final = 8
"""Reports of usage that are kept until something is recorded. An open page asks for the same one every minute."""

CSV_TYPE: Final = "text/csv; charset=utf-8"
REQUEST_COLUMNS: Final = RequestRecord.__struct_fields__


def usage_routes(
    reader: UsageReader, flush: Callable[[], None], active: Callable[[], list[ActiveRequest]]
) -> list[BaseRoute]:
    """The routes. `flush` hands finished requests to the store that `reader` reads, and `active` returns those in
    flight; both are called on the event loop."""
    endpoints = _Endpoints(reader, flush, active)
    return [
        Route("/requests", endpoints.requests),
        Route("/requests.csv", endpoints.requests_csv),
        Route("/usage", endpoints.usage),
        Route("/usage.csv", endpoints.usage_csv),
        Route("/history", endpoints.history),
        Route("/history/summary", endpoints.summary),
        Route("/history/{model:path}", endpoints.model_history),
    ]


class _Endpoints:
    def __init__(
        self, reader: UsageReader, flush: Callable[[], None], active: Callable[[], list[ActiveRequest]]
    ) -> None:
        self._reader = reader
        self._flush = flush
        self._reports: dict[UsageQuery, tuple[int | None, bytes]] = {}
        self._active = active

    async def requests(self, request: Request) -> Response:
        query = parse_request_query(request.query_params)
        self._flush()
        return await _respond(lambda: self._reader.requests(query))

    async def requests_csv(self, request: Request) -> Response:
        """Begins with the first page, so that an error has a status."""
        query = structs.replace(parse_request_query(request.query_params), limit=MAX_LIMIT)
        self._flush()
        first = await asyncio.to_thread(self._reader.requests, query)
        parts = self._csv_parts(query, first.requests, first.next)
        return StreamingResponse(parts, media_type=CSV_TYPE, headers=_csv_headers("requests.csv"))

    async def _csv_parts(
        self, query: RequestQuery, records: list[RequestRecord], following: str | None
    ) -> AsyncIterator[bytes]:
        """The file in parts of one page. No transaction is open while a part is sent: the client may be slow."""
        yield render_rows([("time", *REQUEST_COLUMNS)])
        while True:
            rows = [(format_time(record.ended), *structs.astuple(record)) for record in records]
            yield await asyncio.to_thread(render_rows, rows)
            if following is None:
                return
            page = await asyncio.to_thread(self._reader.requests, structs.replace(query, before=following))
            records, following = page.requests, page.next

    async def usage(self, request: Request) -> Response:
        query = parse_usage_query(request.query_params)
        self._flush()
        version, known = self._reader.version, self._reports.get(query)
        if known is None or version is None or known[0] != version:
            known = version, await asyncio.to_thread(lambda: msgspec.json.encode(self._reader.usage(query)))
            while len(self._reports) >= MAX_REPORTS:
                del self._reports[next(iter(self._reports))]
            self._reports[query] = known
        return Response(known[1], media_type="application/json")

    async def usage_csv(self, request: Request) -> Response:
        query = parse_usage_query(request.query_params)
        self._flush()
        report = await asyncio.to_thread(self._reader.usage, query)
        rows = [USAGE_COLUMNS, *([getattr(row, name) for name in USAGE_COLUMNS] for row in report.rows)]
        return Response(render_rows(rows), media_type=CSV_TYPE, headers=_csv_headers("usage.csv"))

    async def history(self, request: Request) -> Response:
        since, until = parse_period(request.query_params, HISTORY_DAYS)
        if model := request.query_params.get("model"):
            return await self._respond_model(model, since, until)
        self._flush()
        active = self._active()
        return await _respond(lambda: self._reader.history(since, until, active))

    async def summary(self, request: Request) -> Response:
        since, until = parse_period(request.query_params, SUMMARY_DAYS)
        return await _respond(lambda: self._reader.history_summary(since, until))

    async def model_history(self, request: Request) -> Response:
        since, until = parse_period(request.query_params, HISTORY_DAYS)
        return await self._respond_model(request.path_params["model"], since, until)

    async def _respond_model(self, model: str, since: float, until: float) -> Response:
        self._flush()
        active = [each for each in self._active() if each.model == model]
        return await _respond(lambda: self._reader.model_history(model, since, until, active))


async def _respond(read: Callable[[], Any]) -> Response:
    """Read and encode in a thread: a response can have a megabyte."""
    content = await asyncio.to_thread(lambda: msgspec.json.encode(read()))
    return Response(content, media_type="application/json")


def _csv_headers(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="sparkd-{name}"', "cache-control": "no-store"}
