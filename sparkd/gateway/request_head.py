"""A request's head, parsed once, and sparkd's own headers for its response."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from starlette.types import Scope

from sparkd.catalog.client import UNKNOWN_CLIENT, Client
from sparkd.catalog.definitions import Model
from sparkd.catalog.priority import Priority
from sparkd.gateway.admission.key_limits import CountedRequest
from sparkd.gateway.admission.key_policies import KeyPolicy
from sparkd.gateway.responses.errors import Dialect
from sparkd.scheduling.claim import Claim
from sparkd.upstream.headers import Headers

if TYPE_CHECKING:
    from sparkd.gateway.measuring.measured_request import MeasuredRequest

_ids = itertools.count(1)
_run = os.urandom(4).hex()

_ID = re.compile(rb"[!-~]{1,128}")
"""Accepted values of `x-request-id`: it is written to the journal, to the engine's log and to the response."""

_OLLAMA = re.compile(rb"/+api/+(?!(?:v[12]|openai|anthropic)/|chat/+completions)", re.IGNORECASE)
"""How Ollama's paths begin. `/api` is also what some clients put in front of `/v1`."""

_EXPOSED = (
    b"access-control-expose-headers",
    b", ".join(
        (
            b"Content-Length, Content-Range, Retry-After",
            b"X-Ratelimit-Limit-Requests, X-Ratelimit-Remaining-Requests, X-Ratelimit-Reset-Requests",
            b"X-Request-Id, X-Sparkd-Estimate, X-Sparkd-Rewrites, X-Sparkd-Served-By",
        )
    ),
)


_LONGEST_PROGRAM = 256
"""Characters of `User-Agent` that count."""

HEAD = "head"
"""Key of `scope["state"]` under which an ASGI application finds the head of its request."""


class RequestHead:
    """The head of a request. `fields` has each header once (the last wins); `headers` has them all, in order.

    `length` is the announced length of the body in bytes, None for a chunked one. `began` is when the request arrived,
    in seconds of the monotonic clock, `ready` when its model was ready for it if it had to wait, otherwise None.
    `model` is the id of the requested model, once it is known, and `asked` the client's name for it.
    `local` is the address that the client has connected to, `remote` the client's own without the port.
    `page_allowed`: the web page in `Origin` may read the response.
    `key` is the name of the client's API key, None if it has none, `policy` what the key may do, None if it has no
    rules; `client` the program that the client is. `counted` is the request as its key's limits count it. `heartbeats`
    is how many it got. `measured` is what was measured of it, if it was to be forwarded and then got an error.
    """

    __slots__ = (
        "asked",
        "began",
        "client",
        "content_type",
        "counted",
        "fields",
        "has_body",
        "headers",
        "heartbeats",
        "key",
        "length",
        "local",
        "measured",
        "method",
        "model",
        "page_allowed",
        "policy",
        "query",
        "raw_path",
        "ready",
        "remote",
    )

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self.began = time.monotonic()
        self.ready: float | None = None
        self.model: str | None = None
        self.asked: str | None = None
        self.heartbeats = 0
        self.measured: MeasuredRequest | None = None
        self.page_allowed = False
        self.key: str | None = None
        self.policy: KeyPolicy | None = None
        self.client: Client = UNKNOWN_CLIENT
        self.counted: CountedRequest | None = None
        self.local: tuple[str, int] | None = scope["server"]
        client = scope["client"]
        self.remote: str = client[0] if client else ""
        self.method: bytes = scope["method"].encode("ascii")
        self.raw_path: bytes = scope["raw_path"]
        self.query: bytes = scope["query_string"]
        self.headers: Headers = scope["headers"]
        self.fields: dict[bytes, bytes] = dict(self.headers)
        self.length: int | None
        self.has_body: bool
        self.content_type = self.fields.get(b"content-type", b"").lower()
        if b"transfer-encoding" in self.fields:
            self.length, self.has_body = None, True
        else:
            self.length = int(self.fields.get(b"content-length", 0))
            self.has_body = self.length > 0

    @property
    def dialect(self) -> Dialect:
        """The API that the client uses, by its path."""
        if _OLLAMA.match(self.raw_path) is not None:
            return "ollama"
        if b"/messages" in self.raw_path:
            return "anthropic"
        return "responses" if b"/responses" in self.raw_path else "openai"

    def claim(self, model: Model) -> Claim:
        """What this request for the model brings into the queue."""
        client, program = self.client, self.fields.get(b"user-agent", b"")[:_LONGEST_PROGRAM]
        name = self.key or client.name
        return _make_claim(
            name, self.remote, program, client.priority or model.priority, background=client.background
        )

    def is_of_type(self, media_type: bytes) -> bool:
        """Whether this is the content type, with or without parameters."""
        return self.content_type == media_type or self.content_type.partition(b";")[0].strip() == media_type

    @property
    def is_json(self) -> bool:
        """Whether the content type is JSON."""
        return b"json" in self.content_type

    @property
    def is_form(self) -> bool:
        """Whether the content type is a multipart form."""
        return self.content_type.startswith(b"multipart/form-data")

    @property
    def is_plain(self) -> bool:
        """Whether the body is certainly not compressed."""
        return b"content-encoding" not in self.fields

    def identify(self) -> bytes:
        """The request's id: the client's own if it is acceptable, otherwise a new one. The engine gets it as well."""
        given = self.fields.get(b"x-request-id")
        if given is not None:
            if _ID.fullmatch(given):
                return given
            self.headers[:] = [header for header in self.headers if header[0] != b"x-request-id"]
        made = b"%s-%x" % (_run.encode(), next(_ids))
        self.headers.append((b"x-request-id", made))
        self.fields[b"x-request-id"] = made
        return made

    def own_headers(self) -> Headers:
        """Sparkd's headers for any response to this: the id, CORS for pages that may read it, and the key's limits."""
        headers = [(b"x-request-id", self.identify()), *self.cors()]
        return headers if self.counted is None else headers + self.counted.headers

    def cors(self) -> Headers:
        """Headers that let an allowed page read the response."""
        origin = self.fields.get(b"origin")
        if origin is None:
            return []
        if not self.page_allowed:
            return [(b"vary", b"Origin")]
        return [(b"access-control-allow-origin", origin), _EXPOSED, (b"vary", b"Origin")]

    def preflight(self) -> Headers:
        """Further headers for a browser's preflight request: what the request itself may contain."""
        if not self.page_allowed:
            return []
        asked = self.fields.get(
            b"access-control-request-headers", b"Authorization, Content-Type, X-Api-Key, Api-Key"
        )
        allowed = [
            (b"access-control-allow-methods", b"GET, POST, DELETE, OPTIONS"),
            (b"access-control-allow-headers", asked),
            (b"access-control-max-age", b"86400"),
        ]
        if b"access-control-request-private-network" in self.fields:
            allowed.append((b"access-control-allow-private-network", b"true"))
        return allowed


@lru_cache(1024)
def _make_claim(name: str, remote: str, program: bytes, priority: Priority, *, background: bool) -> Claim:
    """The claim of a client with that key or name, address and program, which together identify it. Never logged."""
    return Claim(f"{name}\n{remote}\n{program.decode('latin-1')}", priority, background)


def request_head(scope: Scope) -> RequestHead:
    """The head of the request that a scope belongs to, as its connection has parsed it."""
    head: RequestHead = scope["state"][HEAD]
    return head
