"""`/api/pull`: downloads a model of the catalogue, as `sparkctl pull` does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from sparkd.catalog.definitions import Model
from sparkd.gateway.connections.disconnect import run_while_connected
from sparkd.gateway.endpoints import respond
from sparkd.gateway.ollama.generation import find_model, read_object
from sparkd.gateway.request_head import RequestHead, request_head
from sparkd.gateway.responses.public_errors import public_error
from sparkd.hub import inspection
from sparkd.ollama.cards import ModelFacts
from sparkd.ollama.documents import encode, encode_line, error_line
from sparkd.ollama.fields import read_flag
from sparkd.ollama.pulls import SUCCESS, progress_line
from sparkd.ollama.requests import read_name

if TYPE_CHECKING:
    from sparkd.gateway.app import Gateway

INTERVAL: Final = 0.5
"""Seconds between two checks of the progress."""

SILENCE: Final = 10.0
"""The longest time in seconds without a line, even if nothing has changed."""


async def pull(request: Request) -> Response:
    """Answer once the model is on disk, or with a line for each step. The download outlives the client.

    Raises OperatorRequired, InvalidRequest, ModelNotFound, ModelDisabled and Refusal.
    """
    gateway: Gateway = request.app.state.gateway
    head = request_head(request.scope)
    gateway.access.require_operator(head)
    body = await read_object(gateway, head, request.receive)
    model = find_model(gateway, head, read_name(body)).model
    head.model = model.id
    if read_flag(body, "stream") is not False:
        response = StreamingResponse(_report(gateway, model, head), media_type="application/x-ndjson")
        response.raw_headers += head.own_headers()
        return response
    await run_while_connected(request.receive, _pull(gateway, model))
    return respond(request, encode(SUCCESS))


async def _pull(gateway: Gateway, model: Model) -> None:
    if not await asyncio.to_thread(inspection.is_complete, model, gateway.catalogue.folder("models")):
        await gateway.host.downloads.pull(model)


async def _report(gateway: Gateway, model: Model, head: RequestHead) -> AsyncIterator[bytes]:
    """The lines of one download."""
    digest = ModelFacts(id=model.id, source=model.source or "", revision=model.revision or "").digest
    task = asyncio.ensure_future(_pull(gateway, model))
    last: dict[str, Any] = {}
    waited = 0.0
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=INTERVAL if last else 0.05)
            progress = gateway.host.downloads.progress_of(model)
            waited += INTERVAL
            if task.done() or progress is None:
                continue
            line = progress_line(digest, progress.step, progress.total, progress.done)
            if line != last or waited >= SILENCE:
                last, waited = line, 0.0
                yield encode_line(line)
        try:
            task.result()
        except Exception as error:  # noqa: BLE001  # the status is sent: whatever happened must be in the stream
            yield error_line(public_error(error, "pull", head).message)
        else:
            yield encode_line(SUCCESS)
    finally:
        task.cancel()
