"""A prompt near the end of its context, counted by the engine itself once that is ready.

The estimate decides what surely fits and what surely doesn't. What lies between is settled by vLLM's `/tokenize`
(vllm/entrypoints/serve/tokenize, 0.33), which takes some milliseconds where it matters and is not asked elsewhere.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import msgspec

from sparkd.errors import UpstreamError
from sparkd.rewriting import JsonBody, RewriteContext, rewrite
from sparkd.rewriting.context_window import needs_exact_count
from sparkd.upstream.client import EngineRequest, Upstream
from sparkd.upstream.connection import Flow
from sparkd.upstream.headers import Headers

PATIENCE = 10.0
"""Seconds an engine has for counting; after them the estimate stands."""

_ASKED = ("model", "messages", "prompt", "tools", "chat_template_kwargs")
_encode = msgspec.json.Encoder().encode


class _Counted(msgspec.Struct):
    count: int


_counted = msgspec.json.Decoder(_Counted)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A request of which nobody knows whether it fits: as it came, and as it was mended on an estimate."""

    context: RewriteContext
    came: JsonBody
    rewrites: JsonBody

    @classmethod
    def about(cls, context: RewriteContext, came: JsonBody, rewritten: JsonBody) -> Doubt | None:
        """The doubt, if there is any and the engine can settle it."""
        countable = context.model.engine == "vllm" and context.api in ("chat", "completions")
        return cls(context, came, rewritten) if countable and needs_exact_count(context, rewritten) else None

    async def settle(self, upstream: Upstream, request: EngineRequest) -> EngineRequest:
        """The request with a limit that is exact. Raises ContextExceeded where the prompt does not fit."""
        count = await _count(upstream, self.rewrites)
        if count is None:
            return request
        body = rewrite(replace(self.context, exact_tokens=count), self.came).body.encode()
        return msgspec.structs.replace(request, body=body)


async def _count(upstream: Upstream, body: JsonBody) -> int | None:
    asked = {name: value for name, value in body.fields.items() if name in _ASKED}
    answer = _Whole()
    question = EngineRequest(
        b"POST", b"/tokenize", [(b"host", b"sparkd"), (b"content-type", b"application/json")], _encode(asked)
    )
    try:
        async with asyncio.timeout(PATIENCE):
            await upstream.exchange(question, answer)
        return _counted.decode(answer.data).count if answer.status == 200 else None
    except (UpstreamError, TimeoutError, msgspec.DecodeError):
        return None


class _Whole:
    """A sink that keeps an answer."""

    status = 0
    data = b""

    def head(self, status: int, headers: Headers, flow: Flow) -> None:  # noqa: ARG002
        """Keep the status."""
        self.status = status

    def body(self, data: bytes, *, more: bool) -> None:  # noqa: ARG002
        """Keep a piece."""
        self.data += data
