"""Reads the body of a request: decompressed, and as JSON whatever the client calls it."""

from __future__ import annotations

from typing import Final

from starlette.types import Receive

from sparkd.errors import InvalidRequest
from sparkd.gateway.preparation.body import Limits, read_body
from sparkd.gateway.preparation.content_coding import DecompressedBody, parse_codings
from sparkd.gateway.request_head import RequestHead

_URL_ENCODED: Final = b"application/x-www-form-urlencoded"

_BEFORE_JSON: Final = b" \t\r\n\xef\xbb\xbf"
"""White space, and the bytes of a byte order mark."""


class BodyReader:
    """Reads bodies within limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def decompress(self, request: RequestHead, receive: Receive) -> tuple[Receive, int | None]:
        """What to read the body from, and its length if it is known. Raises EncodingNotSupported."""
        if request.is_plain:
            return receive, request.length
        values = [value for name, value in request.headers if name == b"content-encoding"]
        if not (codings := parse_codings(values)):
            return receive, request.length
        return DecompressedBody(receive, codings, self._limits), None

    async def read_json(
        self, request: RequestHead, receive: Receive, length: int | None
    ) -> bytes | bytearray:
        """Read a body that must be JSON. `curl -d` calls JSON a form, too. Raises RequestError."""
        data = await read_body(receive, length, self._limits)
        if request.content_type.startswith(_URL_ENCODED) and not data.lstrip(_BEFORE_JSON).startswith(b"{"):
            raise InvalidRequest(
                "The body is a form (application/x-www-form-urlencoded). Send a JSON object, with "
                "`Content-Type: application/json`."
            )
        return data
