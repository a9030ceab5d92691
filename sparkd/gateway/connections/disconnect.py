"""Work that is cancelled when its client disconnects."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from sparkd.gateway.preparation.body import ClientDisconnected

T = TypeVar("T")


async def run_while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Do `work`, and cancel it if the client disconnects, which Starlette does not report to endpoints.

    Raises ClientDisconnected in that case, and everything that `work` raises.
    """
    task = asyncio.ensure_future(work)
    disconnect = asyncio.ensure_future(_wait_for_disconnect(receive))
    try:
        await asyncio.wait({task, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnected
    finally:
        # Wait for both, so that the request has left the queue before this connection is used again.
        task.cancel()
        disconnect.cancel()
        await asyncio.wait({task, disconnect})


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":  # earlier messages are the rest of the body
        continue
