"""A user turn, for templates that reject a conversation without one."""

from __future__ import annotations

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import Fields, decode_array, decode_string, read_type
from sparkd.rewriting.history.contents import is_blank, make_user_turn
from sparkd.rewriting.history.conversation import SYSTEM_ROLES, read_conversation, replace_turns
from sparkd.rewriting.rewrite_context import RewriteContext

BEGIN = "Begin."
"""What the user says if no user said anything: before the model's first turn, or alone."""


def add_user_turn(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Add a user turn behind the leading system messages, if there is none and there is something to answer."""
    api = context.api
    conversation = read_conversation(context, body)
    if conversation is None:
        if api != "responses" or "input" in body.fields or is_blank(body.fields.get("instructions")):
            return body
        return body.with_field("input", BEGIN)
    roles = conversation.roles
    if "user" in roles and (api != "messages" or any(map(_is_from_user, conversation.turns))):
        return body
    top = body.fields.get({"messages": "system", "responses": "instructions"}.get(api, ""))
    if not any(conversation.turns) and (conversation.turns or is_blank(top)):
        return body
    place = next((index for index, role in enumerate(roles) if role not in SYSTEM_ROLES), len(roles))
    rest = conversation.raw_turns[place : place + 1]
    return replace_turns(context, body, conversation, {place: [make_user_turn(BEGIN, api), *rest]})


def _is_from_user(turn: Fields) -> bool:
    """Whether a message of /v1/messages has more from the user than results of tools."""
    if decode_string(turn.get("role")) != "user":
        return False
    blocks = decode_array(turn.get("content"))
    kinds = [read_type(block) for block in blocks or ()]
    return blocks is None or any(kind != "tool_result" for kind in kinds)
