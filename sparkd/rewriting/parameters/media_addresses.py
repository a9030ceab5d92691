"""Addresses of images, video and audio: the engine fetches them, so a request may not name any address it likes."""

from __future__ import annotations

import re
from collections.abc import Collection

from sparkd.errors import InvalidRequest
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.parameters.image_bytes import find_image_problem
from sparkd.rewriting.parameters.media import Medium, find_media
from sparkd.rewriting.rewrite_context import RewriteContext

_web_address = re.compile(r"https?://([a-z0-9.-]{1,253})(?::\d{1,5})?(?:[/?#][!-\[\]-~]*)?", re.IGNORECASE)
"""No user, no backslash, no blanks: what two parsers could read as two hosts is rejected."""

_LONGEST_ECHO = 80
"""Characters of an address that an error repeats."""


def reject_media(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Reject media at an address that is not allowed, and invalid images. Raises InvalidRequest."""
    model = context.model
    for medium in find_media(body):
        if medium.address[:5].lower() != "data:":
            if not _is_allowed(medium.address, model.media_domains):
                raise _build_address_error(context, medium)
        elif medium.kind == "image" and model.vision and (problem := find_image_problem(medium.address)):
            raise InvalidRequest(
                f"An image cannot be read: {problem}. Send a PNG, JPEG, GIF or WebP as "
                '"data:image/png;base64,…".',
                param=medium.field,
            )
    return body


def _is_allowed(address: str, domains: Collection[str]) -> bool:
    found = _web_address.fullmatch(address) if domains else None
    return found is not None and found[1].lower() in domains


def _build_address_error(context: RewriteContext, medium: Medium) -> InvalidRequest:
    article = "An" if medium.kind in ("image", "audio") else "A"
    echo = medium.address[:_LONGEST_ECHO] + ("…" if len(medium.address) > _LONGEST_ECHO else "")
    if not medium.address:
        return InvalidRequest(
            f"{article} {medium.kind} has no address. Send it as a data URL.", param=medium.field
        )
    domains = context.model.media_domains
    allowed = f"from {', '.join(sorted(domains))}" if domains else "from no domain"
    return InvalidRequest(
        f'{article} {medium.kind} is at "{echo}", but "{context.model.id}" fetches {allowed}. Send it as a data URL '
        '("data:image/png;base64,…"), or add the domain to `media_domains` in the model\'s table.',
        param=medium.field,
    )
