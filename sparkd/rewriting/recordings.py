"""Audio and video in a request for a model that takes only text."""

from __future__ import annotations

import msgspec

from sparkd.errors import MediaNotSupported
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import read_type
from sparkd.rewriting.images import MAX_DEPTH, TURN_FIELDS, list_parts, list_turns
from sparkd.rewriting.rewrite_context import RewriteContext

RECORDING_TYPES = {
    **dict.fromkeys(("input_audio", "audio_url", "audio"), "audio"),
    **dict.fromkeys(("video_url", "input_video", "video"), "video"),
}
"""Types of parts, and what they are."""


def takes_recordings(context: RewriteContext) -> bool:
    """Whether the model may take audio or video: the catalogue does not say which of them a model with vision takes."""
    return context.model.vision or "audio" in context.model.tags


def reject_recordings(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Reject audio and video. Raises MediaNotSupported."""
    for name in TURN_FIELDS:
        kind = next((found for turn in list_turns(body, name) if (found := _find_recording(turn))), None)
        if kind is not None:
            raise MediaNotSupported(
                f'Model "{context.model.id}" does not accept {kind}. Send its text, or use another model.',
                param=name,
            )
    return body


def _find_recording(turn: msgspec.Raw, depth: int = MAX_DEPTH) -> str | None:
    """What a turn contains, None if it has neither audio nor video."""
    for part in list_parts(turn) if depth else ():
        kind = read_type(part)
        found = RECORDING_TYPES.get(kind or "") or _find_recording(part, depth - 1)
        if found:
            return found
    return None
