"""Requests that wait at a gateway with quick heartbeats, and the streams of the engines behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from sparkd.catalog.heartbeat import Heartbeat, HeartbeatStyle
from sparkd.catalog.settings import Settings
from tests.gateway.engines import (
    SSE,
    Answer,
    Asked,
    Script,
    answering,
    chunk,
    read_answer,
    request,
)
from tests.gateway.gateways import House, catalogue, house, model, run, until

PATHS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}
BODIES: dict[str, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "x"}]},
    "completions": {"prompt": "x"},
    "messages": {"messages": [{"role": "user", "content": "x"}], "max_tokens": 5},
    "responses": {"input": "x"},
}


def ask(api: str, *, stream: bool | None = True, extra: str = "", **fields: Any) -> bytes:
    """A request whose id is `r1`."""
    body = {"model": "m", "stream": stream, **BODIES[api], **fields}
    return request(json.dumps(body).encode(), PATHS[api], extra=f"x-request-id: r1\r\n{extra}")


def models(style: HeartbeatStyle = "chunk", *, blanks: bool = False, **fields: Any) -> Any:
    """A catalogue with quick heartbeats."""
    settings = Settings(heartbeat=Heartbeat(style=style, after=0.03, interval=0.03, blanks=blanks))
    given: dict[str, Any] = {"aliases": ("short",), "context_length": 4096, **fields}
    return catalogue(model("m", **given), settings=settings)


def streaming(*events: bytes, asked: list[Asked] | None = None) -> Script:
    """An engine that answers with a stream of these events."""
    return answering(SSE + b"".join(chunk(event) for event in events) + chunk(b""), asked=asked)


def split(body: bytes) -> list[bytes]:
    """The events of a stream, which must all be whole."""
    *events, rest = body.split(b"\n\n")
    assert rest == b""
    return events


def data_of(event: bytes) -> Any:
    """The data of an event."""
    return json.loads(event[event.index(b"data: ") + 6 :])


async def wait_and_get(
    here: House, raw: bytes, *, seconds: float = 0.14, then: Callable[[], None] | None = None
) -> Answer:
    """Send a request, let it wait, make the model ready (or do something else), and read the answer."""
    reader, writer = await here.connect()
    writer.write(raw)
    await until(lambda: here.supervisor.waiting == 1)
    await asyncio.sleep(seconds)
    (then or here.supervisor.ready.set)()
    return await read_answer(reader, head_only=raw.startswith(b"HEAD"))


def get(raw: bytes, script: Script, served: Any, *, refusal: Any = None) -> tuple[Answer, list[int]]:
    """The answer to a request that has to wait, and the outcomes of its lease."""
    results: list[Any] = []

    async def test() -> None:
        async with house(script, models=served, ready=False) as here:
            here.supervisor.refusal = refusal
            results.append(await wait_and_get(here, raw))
            results.append(here.supervisor.outcomes)

    run(test)
    return results[0], results[1]


def chat_chunk(**delta: Any) -> bytes:
    """A chunk as vLLM sends it."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    fields = {"id": "chatcmpl-r1", "object": "chat.completion.chunk", "created": 5, "model": "m"}
    return b"data: " + json.dumps({**fields, "choices": [choice]}, separators=(",", ":")).encode() + b"\n\n"


ROLE = chat_chunk(role="assistant", content="")
TEXT = chat_chunk(content="Hello")
DONE = b"data: [DONE]\n\n"
