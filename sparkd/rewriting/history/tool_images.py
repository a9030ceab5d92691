"""Images in the results of tools: most chat templates render a result as text, and lose them.

A model with vision gets them in a user turn behind the results. In /v1/messages, engines do so themselves, which is
wrong only for templates whose roles must alternate.
"""

from __future__ import annotations

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import (
    Fields,
    decode_array,
    decode_object,
    decode_string,
    encode_raw,
    read_type,
)
from sparkd.rewriting.history.contents import make_text_part, make_user_turn, read_only_text
from sparkd.rewriting.history.conversation import (
    Conversation,
    NewTurn,
    fix_turns,
    read_conversation,
    replace_turns,
)
from sparkd.rewriting.images import IMAGE_LEFT_OUT, is_image
from sparkd.rewriting.rewrite_context import RewriteContext

IMAGES_BELOW = "(see the images below)"
IMAGES_HEADING = "[Images of the tool result]"


def move_tool_images(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Move images out of results of tools into a user turn; without vision, leave a note in their place."""
    conversation = read_conversation(context, body)
    if conversation is None:
        return body
    if context.api == "messages":
        stay = context.model.vision and context.template.alternates is not True
        return body if stay else fix_turns(context, body, _fix_blocks)
    changes: dict[int, list[NewTurn]] = {}
    images: list[msgspec.Raw] = []
    for index, turn in enumerate(conversation.turns):
        if images and not _is_result(turn):
            _add_user_turn(context, conversation, changes, index - 1, images)
            images = []
        stripped, found = _take_images(context, turn)
        if found:
            changes[index] = [stripped]
            images += found if context.model.vision else ()
    if images:
        _add_user_turn(context, conversation, changes, len(conversation.turns) - 1, images)
    return replace_turns(context, body, conversation, changes)


def _is_result(turn: Fields) -> bool:
    return (
        decode_string(turn.get("role")) == "tool" or decode_string(turn.get("type")) == "function_call_output"
    )


def _take_images(context: RewriteContext, turn: Fields) -> tuple[Fields, list[msgspec.Raw]]:
    """A result without its images, and these."""
    key = "output" if context.api == "responses" else "content"
    parts = (decode_array(turn.get(key)) or []) if _is_result(turn) else []
    images = list(filter(is_image, parts))
    if not images:
        return turn, []
    rest = [part for part in parts if not is_image(part)]
    note = IMAGES_BELOW if context.model.vision else IMAGE_LEFT_OUT
    text = read_only_text(encode_raw(rest))
    return {**turn, key: encode_raw((rest if text is None else text) or note)}, images


def _add_user_turn(
    context: RewriteContext,
    conversation: Conversation,
    changes: dict[int, list[NewTurn]],
    index: int,
    images: list[msgspec.Raw],
) -> None:
    turn = make_user_turn([make_text_part(IMAGES_HEADING, context.api), *images], context.api)
    changes[index] = [*changes.get(index, [conversation.raw_turns[index]]), turn]


def _fix_blocks(context: RewriteContext, turn: Fields) -> list[NewTurn] | None:
    """A message of /v1/messages, with the images of its results behind them; without vision, with notes."""
    blocks = decode_array(turn.get("content")) or []
    fixed: list[msgspec.Raw] = []
    images: list[msgspec.Raw] = []
    for block in blocks:
        stripped, found = _take_block_images(context, block)
        fixed.append(stripped)
        images += found
    if not images:
        return None
    if context.model.vision:
        results = [index for index, block in enumerate(fixed) if read_type(block) == "tool_result"]
        end = results[-1] + 1
        fixed[end:end] = [make_text_part(IMAGES_HEADING, "messages"), *images]
    return [{**turn, "content": encode_raw(fixed)}]


def _take_block_images(context: RewriteContext, block: msgspec.Raw) -> tuple[msgspec.Raw, list[msgspec.Raw]]:
    fields = decode_object(block) or {}
    parts = (decode_array(fields.get("content")) or []) if read_type(block) == "tool_result" else []
    images = list(filter(is_image, parts))
    if not images:
        return block, []
    note = IMAGES_BELOW if context.model.vision else IMAGE_LEFT_OUT
    rest = [part for part in parts if not is_image(part)]
    return encode_raw({**fields, "content": rest or note}), images
