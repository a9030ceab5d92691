"""The list of turns itself: a text or one message instead of a list, and items that are not messages."""

from __future__ import annotations

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_array, decode_object, decode_string, is_null
from sparkd.rewriting.history.contents import make_user_turn
from sparkd.rewriting.history.conversation import (
    NewTurn,
    read_conversation,
    read_kind,
    replace_turns,
    turns_field,
)
from sparkd.rewriting.rewrite_context import Api, RewriteContext


def fix_turns_list(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Make the conversation a list of objects. In responses, `messages` replace a missing `input`."""
    field = turns_field(context.api)
    value = body.fields.get(field)
    if context.api == "responses":
        if is_null(value):
            return _replace_missing_input(body)
        return body.with_field(field, [value]) if read_kind(value) == "{" else body
    if read_kind(value) == "{":
        return body.with_field(field, [value])
    text = decode_string(value)
    if text is not None:
        return body.with_field(field, [make_user_turn(text, context.api)] if text.strip() else [])
    conversation = read_conversation(context, body)
    if conversation is None or all(conversation.turns):
        return body
    changes = {
        index: new
        for index, turn in enumerate(conversation.turns)
        if not turn and (new := _replace_item(context.api, conversation.raw_turns[index])) is not None
    }
    return replace_turns(context, body, conversation, changes)


def _replace_missing_input(body: JsonBody) -> JsonBody:
    messages = body.fields.get("messages")
    if messages is not None and decode_array(messages):
        return body.without(("messages",)).with_field("input", messages)
    return body.without(("input",))


def _replace_item(api: Api, raw: msgspec.Raw) -> list[NewTurn] | None:
    """What replaces an item that is not an object, or is an empty one; None for one that is nested too deeply."""
    text = decode_string(raw)
    if text is not None:
        return [make_user_turn(text, api)] if text.strip() else []
    return [] if is_null(raw) or decode_object(raw) == {} or decode_array(raw) == [] else None
