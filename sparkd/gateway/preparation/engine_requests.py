"""A client's request as the engine gets it."""

from __future__ import annotations

from collections.abc import Set

from sparkd.catalog.definitions import Model
from sparkd.gateway.preparation.body import Upload
from sparkd.gateway.preparation.naming import Named
from sparkd.gateway.request_head import RequestHead
from sparkd.upstream.client import EngineRequest


def build_engine_request(
    without: Set[bytes],
    request: RequestHead,
    model: Model,
    named: Named,
    body: bytes | bytearray | Upload,
    *,
    length: int | None,
    content_type: bytes | None = None,
) -> EngineRequest:
    """The request with this content type, or the client's own, and the client's headers but for those in `without`."""
    target = named.vllm_target if model.engine == "vllm" else named.target
    headers = request.headers
    if not request.is_plain:
        without = without | {b"content-encoding"}
    if content_type and not request.is_of_type(content_type):
        request.identify()  # before the headers are copied: the engine gets the id as well
        headers = [(b"content-type", content_type)]
        headers += [header for header in request.headers if header[0] != b"content-type"]
    return EngineRequest(request.method, target, headers, body, length, without)
