"""What a request's `keep_alive` or `ttl` does, if its client may decide that."""

from __future__ import annotations

from msgspec import structs

from sparkd.gateway.access import Access
from sparkd.gateway.prepared_request import PreparedRequest
from sparkd.gateway.request_head import RequestHead
from sparkd.scheduling.claim import Claim


def apply_keep_alive(
    access: Access, request: RequestHead, prepared: PreparedRequest, claim: Claim
) -> tuple[PreparedRequest, Claim]:
    """Put the time of `prepared.keep_alive` into the claim. Of a client that may not operate models, it is ignored, and
    the header `x-sparkd-rewrites` says so."""
    if prepared.keep_alive is None:
        return prepared, claim
    seconds, field = prepared.keep_alive
    if access.may_operate(request):
        return prepared, structs.replace(claim, keep_alive=seconds)
    return structs.replace(prepared, rewrites=(*prepared.rewrites, f"ignored-{field}")), claim
