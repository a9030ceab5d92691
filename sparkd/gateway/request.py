"""One request as the gateway sees it: what its head says, and sparkd's own headers for its answer."""

from __future__ import annotations

import itertools
import os
import re
import time

from sparkd.gateway.asgi import Scope
from sparkd.gateway.errors import Dialect
from sparkd.upstream.headers import Headers

_ids = itertools.count(1)
_run = os.urandom(4).hex()

_SANE_ID = re.compile(rb"[!-~]{1,128}")
"""What a client may call its request: it stands in the journal, in the engine's log and in the answer."""

_LOCAL_ORIGIN = re.compile(rb"(https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?|vscode-webview://.*)")
"""Pages allowed to read answers: those of this machine's own programs, as with sparkd's predecessor. A page
from the network could else talk to models behind its visitor's back."""

_EXPOSED = (
    b"access-control-expose-headers",
    b"Content-Length, Content-Range, Retry-After, X-Request-Id, X-Sparkd-Rewrites",
)


class Request:
    """The head of a request. `fields` has each header once (the last wins); `headers` has them all, in order.

    `length` is the bytes that its body is announced to have, None for a chunked one. `began` is when it came, in
    seconds of the monotonic clock; `model` the id of the model it is for, as soon as that is known.
    """

    __slots__ = (
        "began",
        "content_type",
        "fields",
        "has_body",
        "headers",
        "length",
        "method",
        "model",
        "query",
        "raw_path",
    )

    def __init__(self, scope: Scope) -> None:
        self.began = time.monotonic()
        self.model: str | None = None
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
        """Whose API it speaks, by its path."""
        if b"/messages" in self.raw_path:
            return "anthropic"
        return "responses" if b"/responses" in self.raw_path else "openai"

    @property
    def is_json(self) -> bool:
        """Whether the body is said to be JSON."""
        return b"json" in self.content_type

    @property
    def is_form(self) -> bool:
        """Whether the body is a form with files."""
        return self.content_type.startswith(b"multipart/form-data")

    @property
    def is_plain(self) -> bool:
        """Whether the body is not compressed."""
        return self.fields.get(b"content-encoding", b"identity") == b"identity"

    def identify(self) -> bytes:
        """The request's id: the client's own if it is fit to be one, or a new one that goes to the engine as well."""
        given = self.fields.get(b"x-request-id")
        if given is not None:
            if _SANE_ID.fullmatch(given):
                return given
            self.headers[:] = [header for header in self.headers if header[0] != b"x-request-id"]
        made = b"%s-%x" % (_run.encode(), next(_ids))
        self.headers.append((b"x-request-id", made))
        self.fields[b"x-request-id"] = made
        return made

    def own_headers(self) -> Headers:
        """Sparkd's headers for any answer to this: the id, and CORS for pages of this machine."""
        return [(b"x-request-id", self.identify()), *self.cors()]

    def cors(self) -> Headers:
        """Headers that let a page of this machine's own programs read the answer."""
        origin = self.fields.get(b"origin")
        if origin is None:
            return []
        if _LOCAL_ORIGIN.fullmatch(origin) is None:
            return [(b"vary", b"Origin")]
        return [(b"access-control-allow-origin", origin), _EXPOSED, (b"vary", b"Origin")]

    def preflight(self) -> Headers:
        """What a browser's OPTIONS is told besides: what the request itself may be."""
        if _LOCAL_ORIGIN.fullmatch(self.fields.get(b"origin", b"")) is None:
            return []
        asked = self.fields.get(b"access-control-request-headers", b"Authorization, Content-Type, X-Api-Key")
        return [
            (b"access-control-allow-methods", b"GET, POST, DELETE, OPTIONS"),
            (b"access-control-allow-headers", asked),
            (b"access-control-max-age", b"86400"),
        ]
