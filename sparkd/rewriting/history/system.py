"""System messages: as many of them, and where, as the model's chat template accepts.

Most templates accept one, before everything else. So leading ones are merged, and each later one becomes a user's turn
in its place, under a heading. A template without system messages gets the leading one in the first user turn.
"""

from __future__ import annotations

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import (
    Fields,
    decode_array,
    decode_string,
    encode_raw,
    read_type,
)
from sparkd.rewriting.history.contents import (
    SYSTEM_HEADING,
    is_blank,
    join_contents,
    make_user_turn,
    prefix_content,
    read_only_text,
    read_parts,
)
from sparkd.rewriting.history.conversation import (
    SYSTEM_ROLES,
    Conversation,
    NewTurn,
    read_conversation,
    read_kind,
    replace_turns,
    with_values,
)
from sparkd.rewriting.rewrite_context import Api, RewriteContext

TOP_FIELDS: dict[Api, str] = {"messages": "system", "responses": "instructions"}
"""The field outside the conversation that becomes a system message before all others."""


def rename_developer(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Turn the role `developer` into `system`."""
    conversation = read_conversation(context, body)
    if conversation is None:
        return body
    changes = {
        index: [with_values(conversation.turns[index], {"role": "system"})]
        for index, role in enumerate(conversation.roles)
        if role == "developer" and "tools" not in conversation.turns[index]
    }
    return replace_turns(context, body, conversation, changes)


def merge_system_messages(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Merge the leading system messages, and turn each later one into a user's turn."""
    conversation = read_conversation(context, body)
    if conversation is None:
        return body
    leading = _count_leading(context.api, conversation)
    changes: dict[int, list[NewTurn]] = {
        index: _make_user_turns(context.api, turn)
        for index, turn in enumerate(conversation.turns)
        if index >= leading and conversation.roles[index] in SYSTEM_ROLES and _is_movable(turn)
    }
    turns = conversation.turns[:leading]
    top = TOP_FIELDS.get(context.api)
    if top is not None and (context.api == "messages" or not is_blank(body.fields.get(top))):
        if leading:
            body = body.with_field(top, _join_top(context.api, body.fields.get(top), turns))
            changes |= {index: [] for index in range(leading)}
    elif leading > 1:
        content = join_contents([turn.get("content") for turn in turns], context.api)
        changes |= {index: [] for index in range(leading)}
        changes[0] = [{**turns[0], "content": content}]
    return replace_turns(context, body, conversation, changes)


def fold_system_message(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Move the leading system message into the first user turn, or make it one if the user does not come next."""
    conversation = read_conversation(context, body)
    top = TOP_FIELDS.get(context.api)
    instructions = None if top is None else body.fields.get(top)
    if conversation is None:
        return _fold_into_text(body) if context.api == "responses" and instructions is not None else body
    contents = [] if instructions is None or is_blank(instructions) else [instructions]
    leading = _count_leading(context.api, conversation)
    contents += [
        turn["content"] for turn in conversation.turns[:leading] if not is_blank(turn.get("content"))
    ]
    if top is not None and instructions is not None:
        body = body.without((top,))
    changes: dict[int, list[NewTurn]] = {index: [] for index in range(leading)}
    if contents:
        heading = prefix_content(SYSTEM_HEADING, join_contents(contents, context.api), context.api)
        next_ = conversation.turns[leading] if leading < len(conversation.turns) else {}
        if decode_string(next_.get("role")) == "user" and read_kind(next_.get("content")) in ('"', "["):
            content = _join_user(heading, next_.get("content"), context.api)
            changes[leading] = [{**next_, "content": content}]
        else:
            turn = make_user_turn(heading, context.api)
            place = leading - 1 if leading else 0
            rest = [] if leading else conversation.raw_turns[:1]
            changes[place] = [turn, *rest]
    return replace_turns(context, body, conversation, changes)


def _fold_into_text(body: JsonBody) -> JsonBody:
    """The instructions in front of an input that is a text, or is missing."""
    said = decode_string(body.fields.get("input"))
    if said is None and "input" in body.fields:
        return body
    if not is_blank(body.fields["instructions"]):
        heading = decode_string(prefix_content(SYSTEM_HEADING, body.fields["instructions"], "responses"))
        body = body.with_field("input", f"{heading}\n\n{said}" if said else heading)
    return body.without(("instructions",))


def _count_leading(api: Api, conversation: Conversation) -> int:
    """How many turns in front are system messages. In messages and responses, they have only text."""
    count = 0
    for turn, role in zip(conversation.turns, conversation.roles, strict=True):
        is_plain = api == "chat" or read_only_text(turn.get("content")) is not None
        if role not in SYSTEM_ROLES or not is_plain or not _is_movable(turn):
            break
        count += 1
    return count


def _is_movable(turn: Fields) -> bool:
    """Whether a message is only a system message: some also change the tools, for templates that know that."""
    kinds = [kind for part in decode_array(turn.get("content")) or () if (kind := read_type(part))]
    return "tools" not in turn and not any(kind.startswith("tool_") for kind in kinds)


def _make_user_turns(api: Api, turn: Fields) -> list[NewTurn]:
    content = turn.get("content")
    return [] if is_blank(content) else [make_user_turn(prefix_content(SYSTEM_HEADING, content, api), api)]


def _join_top(api: Api, given: msgspec.Raw | None, turns: list[Fields]) -> msgspec.Raw:
    """The top field with system messages appended. In messages, its blocks stay: a client may cache each of them."""
    texts = [text for turn in turns if (text := read_only_text(turn.get("content")))]
    blocks = decode_array(given)
    if api == "messages" and blocks:
        return encode_raw([*blocks, *({"type": "text", "text": f"\n\n{text}"} for text in texts)])
    return encode_raw("\n\n".join(filter(None, [read_only_text(given), *texts])))


def _join_user(heading: msgspec.Raw, content: msgspec.Raw | None, api: Api) -> msgspec.Raw:
    first, second = decode_string(heading), decode_string(content)
    if first is not None and second is not None:
        return encode_raw(f"{first}\n\n{second}".strip())
    return encode_raw([*read_parts(heading, api), *read_parts(content, api)])
