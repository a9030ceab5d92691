"""Requests that count tokens: `/v1/messages/count_tokens`, `/v1/responses/input_tokens`, `/tokenize`.

Agents count before each turn, for models that they do not use yet. So a count does not load a model or evict one, and
the model stays as idle as it was. If the engine is ready, it counts; otherwise sparkd estimates, with the header
`x-sparkd-estimate` and the field `estimate`. There is no lease: if the engine ends meanwhile, sparkd estimates, too.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from sparkd.catalog.definitions import Model
from sparkd.errors import InvalidRequest, ModelNotLoaded, UpstreamError
from sparkd.gateway.preparation.deferred_count import COUNT_TIMEOUT, CollectedResponse
from sparkd.gateway.preparation.engine_paths import Endpoint
from sparkd.rewriting import JsonBody, RequestRewriter, RewriteContext
from sparkd.rewriting.context_window import context_length
from sparkd.rewriting.decoding import decode_value
from sparkd.rewriting.history.conversation import read_kind
from sparkd.rewriting.rewrite_context import Api
from sparkd.rewriting.token_count import count_prompt_tokens
from sparkd.upstream.client import EngineRequest, Upstream

_MESSAGES: Final = "/v1/messages/count_tokens"
_RESPONSES: Final = "/v1/responses/input_tokens"

_ADDED_FIELDS: Final = frozenset({"model", "chat_template_kwargs", "system", "instructions", "input"})
"""What rules may add to a request that counts: parts of the prompt. It has no use for limits and samplers."""

_encode = msgspec.json.Encoder().encode


def is_count(model: Model, endpoint: Endpoint) -> bool:
    """Whether a request only counts tokens. The `/tokenize` of an engine of the owner's own may be anything."""
    return endpoint.counts and not (model.engine == "command" and endpoint.path.endswith("/tokenize"))


def find_counted_api(path: str, body: JsonBody) -> Api:
    """The API whose prompt is counted. Raises InvalidRequest if there is no prompt in the body."""
    api: Api
    types: tuple[type, ...]
    if path == _MESSAGES:
        api, field, types = "messages", "messages", (list,)
    elif path == _RESPONSES:
        api, field, types = "responses", "input", (list, str)
    elif "messages" in body.fields:
        api, field, types = "chat", "messages", (list,)
    else:
        api, field, types = "completions", "prompt", (str,)
    if not _is_of_type(body, field, types):
        kind = " or ".join("an array" if each is list else "a string" for each in types)
        raise InvalidRequest(f"`{field}` must be {kind}: {path} counts its tokens.", param=field)
    return api


def _is_of_type(body: JsonBody, field: str, types: tuple[type, ...]) -> bool:
    """Whether a field is a string or an array. Looks at the first byte alone."""
    kind = read_kind(body.fields.get(field))
    return (kind == "[" and list in types) or (kind == '"' and str in types)


@dataclass(frozen=True, slots=True)
class TokenCount:
    """One such request: what the engine would get, and how to count without it."""

    context: RewriteContext
    path: str
    body: JsonBody

    @classmethod
    def make(
        cls, context: RewriteContext, path: str, body: JsonBody, rewriter: RequestRewriter
    ) -> TokenCount:
        """The count of what the engine would get if the prompt was sent. Raises RequestError."""
        # With an exact number, no prompt is too long: this is asked in order to know by how much it is.
        rewritten = rewriter.rewrite(replace(context, exact_tokens=0), body).body
        return cls(
            context, path, rewritten.without(rewritten.fields.keys() - body.fields.keys() - _ADDED_FIELDS)
        )

    async def answer(self, request: EngineRequest, upstream: Upstream | None) -> tuple[bytes, bool]:
        """The body of the response, and whether it is an estimate. Raises ModelNotLoaded."""
        if upstream is not None and self.path != _RESPONSES:  # which no engine has
            exact = await _ask(upstream, request)
            if exact is not None:
                return exact, False
        return _encode(self._estimate()), True

    def _estimate(self) -> dict[str, Any]:
        model = self.context.model
        if decode_value(self.body.fields.get("return_token_strs", msgspec.Raw(b"null"))):
            raise ModelNotLoaded(
                f'The tokens can only be listed while "{model.id}" is loaded. Load it with another request or '
                f"`sparkctl load {model.id}`, or leave out `return_token_strs` to get an estimate of their number."
            )
        tokens = count_prompt_tokens(self.context, self.body).total
        if self.path == _MESSAGES:
            return {"input_tokens": tokens, "estimate": True}
        if self.path == _RESPONSES:
            return {"object": "response.input_tokens", "input_tokens": tokens, "estimate": True}
        length = context_length(model)
        # Without `tokens`: a client that needs them must not take an empty list for them.
        known = {} if length is None else {"max_model_len": length}
        return {"count": tokens, **known, "estimate": True}


async def _ask(upstream: Upstream, request: EngineRequest) -> bytes | None:
    """The engine's response; None if it has none: its template may refuse a prompt that can still be estimated."""
    response = CollectedResponse()
    try:
        async with asyncio.timeout(COUNT_TIMEOUT):
            await upstream.exchange(request, response)
    except (UpstreamError, TimeoutError):
        return None
    return response.data if response.status == 200 else None
