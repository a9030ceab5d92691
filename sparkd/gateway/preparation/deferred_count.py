"""Token counts that an estimate cannot decide, made by the engine itself once it is ready.

The estimate decides which prompts certainly fit into the context and which certainly do not. For the others sparkd asks
vLLM's `/tokenize` (vllm/entrypoints/serve/tokenize, 0.33), which takes some milliseconds.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import msgspec

from sparkd.errors import UpstreamError
from sparkd.gateway.measuring.asking import ask_for_usage
from sparkd.rewriting import JsonBody, RewriteContext, rewrite
from sparkd.rewriting.context_window import needs_exact_count
from sparkd.upstream.client import EngineRequest, Upstream
from sparkd.upstream.connection import Flow
from sparkd.upstream.headers import Headers

COUNT_TIMEOUT = 10.0
"""Seconds an engine has for counting; after that the estimate is used."""

_FIELDS = ("model", "messages", "prompt", "tools", "chat_template_kwargs")
_encode = msgspec.json.Encoder().encode


class _Counted(msgspec.Struct):
    count: int


_counted = msgspec.json.Decoder(_Counted)


@dataclass(frozen=True, slots=True)
class DeferredTokenCount:
    """A request whose prompt may or may not fit: as it arrived, and as it was rewritten by an estimate.

    `asks_usage`: the engine is asked for the usage.
    """

    context: RewriteContext
    original: JsonBody
    rewritten: JsonBody
    asks_usage: bool = False

    @classmethod
    def needed_for(
        cls, context: RewriteContext, original: JsonBody, rewritten: JsonBody, *, asks_usage: bool
    ) -> DeferredTokenCount | None:
        """The count, if the estimate is not enough and the engine can do better."""
        countable = context.model.engine == "vllm" and context.api in ("chat", "completions")
        return (
            cls(context, original, rewritten, asks_usage)
            if countable and needs_exact_count(context, rewritten)
            else None
        )

    async def apply(self, upstream: Upstream, request: EngineRequest) -> EngineRequest:
        """The request with an exact token limit. Raises ContextExceeded if the prompt does not fit."""
        count = await _count(upstream, self.rewritten)
        if count is None:
            return request
        body = rewrite(replace(self.context, exact_tokens=count), self.original).body
        if self.asks_usage:
            body = ask_for_usage(self.context.model, self.context.api, body)
        return msgspec.structs.replace(request, body=body.encode())


async def _count(upstream: Upstream, body: JsonBody) -> int | None:
    fields = {name: value for name, value in body.fields.items() if name in _FIELDS}
    response = CollectedResponse()
    request = EngineRequest(
        b"POST", b"/tokenize", [(b"host", b"sparkd"), (b"content-type", b"application/json")], _encode(fields)
    )
    try:
        async with asyncio.timeout(COUNT_TIMEOUT):
            await upstream.exchange(request, response)
        return _counted.decode(response.data).count if response.status == 200 else None
    except (UpstreamError, TimeoutError, msgspec.DecodeError):
        return None


class CollectedResponse:
    """A sink that keeps a response."""

    status = 0
    data = b""

    def head(self, status: int, headers: Headers, flow: Flow) -> None:  # noqa: ARG002
        """Keep the status."""
        self.status = status

    def body(self, data: bytes, *, more: bool) -> None:  # noqa: ARG002
        """Keep a piece."""
        self.data += data
