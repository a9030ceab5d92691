"""A proxy written the obvious way: a Starlette route, an httpx client, a StreamingResponse.

plain_proxy.py PORT ENGINE-PORT
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

ENGINE = f"http://127.0.0.1:{sys.argv[2]}"
DROPPED = {"connection", "keep-alive", "transfer-encoding", "host", "content-length"}


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=128)
    async with httpx.AsyncClient(base_url=ENGINE, timeout=None, limits=limits) as client:
        app.state.client = client
        yield


async def forward(request: Request) -> Response:
    body = await request.body()
    if json.loads(body).get("model") != "m":
        return JSONResponse({"error": "no such model"}, 404)
    client: httpx.AsyncClient = request.app.state.client
    headers = [(name, value) for name, value in request.headers.items() if name not in DROPPED]
    outgoing = client.build_request(request.method, request.url.path, headers=headers, content=body)
    answer = await client.send(outgoing, stream=True)
    return StreamingResponse(
        answer.aiter_raw(),
        answer.status_code,
        {name: value for name, value in answer.headers.items() if name not in DROPPED},
        background=BackgroundTask(answer.aclose),
    )


app = Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "POST"])], lifespan=lifespan)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
