"""Alternating roles of a chat, for templates that accept nothing else: user, assistant, user.

With `alternate_roles`, there is no system message either; otherwise a leading one stays, as the template accepts it.

Nothing is lost. Consecutive messages of one role are merged: texts are joined, parts and tool calls are appended. If a
merge would lose something (for example one of two names), a short message of the other role is inserted.
Tool results are never merged.
"""

from __future__ import annotations

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_array, decode_object, decode_string, encode_raw
from sparkd.rewriting.history.alternation import UNDERSTOOD
from sparkd.rewriting.history.contents import SYSTEM_HEADING
from sparkd.rewriting.history.conversation import SYSTEM_ROLES
from sparkd.rewriting.merging import MergedMessage, list_parts, make_text_part
from sparkd.rewriting.rewrite_context import RewriteContext
from sparkd.rewriting.text import join_text, needs_joined_text, read_text_part

FILLER_TURNS = {
    "user": encode_raw({"role": "assistant", "content": UNDERSTOOD}),
    "assistant": encode_raw({"role": "user", "content": "Continue."}),
}
"""The message inserted between two messages of this role that cannot be merged."""


def alternate_roles(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Make the roles of `messages` alternate, starting with the user."""
    messages = decode_array(body.fields.get("messages"))
    if messages is None:
        return body
    kept = _count_kept(context, messages)
    system, turns = _split_system_messages(messages[kept:])
    turns = _merge_neighbours(turns)
    if context.template.alternates is True:
        turns = _answer_results(turns)
    if system:
        turns = _prepend_system(system, turns)
    if not turns:
        turns = [encode_raw({"role": "user", "content": "Hi"})]
    elif read_role(turns[0]) != "user":
        turns.insert(0, encode_raw({"role": "user", "content": " "}))
    turns = [*messages[:kept], *turns]
    same = len(turns) == len(messages) and all(map(_is_same, turns, messages))
    if same:
        return body
    merged = body.with_field("messages", turns)
    # Merging a text with parts without text has created parts again.
    return join_text(context, merged) if needs_joined_text(context.model) else merged


def read_role(message: msgspec.Raw) -> str | None:
    """The role of a message."""
    return decode_string((decode_object(message) or {}).get("role"))


def _count_kept(context: RewriteContext, messages: list[msgspec.Raw]) -> int:
    """How many messages in front stay as they are: the system message, if only the template's roles alternate."""
    if context.model.rewriting.alternate_roles or not messages:
        return 0
    return int(read_role(messages[0]) in SYSTEM_ROLES)


def _is_same(first: object, second: object) -> bool:
    return first is second


def _split_system_messages(messages: list[msgspec.Raw]) -> tuple[list[msgspec.Raw], list[msgspec.Raw]]:
    """The parts of all system messages, with one text first, and the other messages."""
    texts: list[str] = []
    others: list[msgspec.Raw] = []
    turns: list[msgspec.Raw] = []
    for message in messages:
        if read_role(message) not in SYSTEM_ROLES:
            turns.append(message)
            continue
        for part in list_parts((decode_object(message) or {}).get("content")) or ():
            text = read_text_part(part)
            if text is None:
                others.append(part)
            elif text:
                texts.append(text)
    if texts:
        others.insert(0, make_text_part("\n\n".join(texts)))
    return others, turns


def _merge_neighbours(messages: list[msgspec.Raw]) -> list[msgspec.Raw]:
    turns: list[msgspec.Raw | MergedMessage] = []
    previous: str | None = None
    for message in messages:
        fields = decode_object(message)
        role = decode_string((fields or {}).get("role"))
        if not fields or role not in FILLER_TURNS:
            turns.append(message)
        elif role != previous:
            turns.append(MergedMessage(message, fields))
        elif not (isinstance(last := turns[-1], MergedMessage) and last.add(fields)):
            turns += [FILLER_TURNS[role], MergedMessage(message, fields)]
        previous = role
    return [turn.encode() if isinstance(turn, MergedMessage) else turn for turn in turns]


def _answer_results(turns: list[msgspec.Raw]) -> list[msgspec.Raw]:
    """The turns, with an answer between the result of a tool and a user turn."""
    roles = [read_role(turn) for turn in turns]
    pairs = zip(turns, ["", *roles], roles, strict=False)
    return [
        new
        for turn, before, role in pairs
        for new in ([FILLER_TURNS["user"], turn] if (before, role) == ("tool", "user") else [turn])
    ]


def _prepend_system(system: list[msgspec.Raw], turns: list[msgspec.Raw]) -> list[msgspec.Raw]:
    """The system messages before the first user message, or as a message of their own."""
    text = read_text_part(system[0])
    heading = f"{SYSTEM_HEADING}{text or ''}\n\n"
    content: object
    first = decode_object(turns[0]) if turns else None
    if first is not None and decode_string(first.get("role")) == "user":
        first_text = decode_string(first.get("content"))
        if first_text is not None and text is not None and len(system) == 1:
            content = heading + first_text if first_text else heading.strip()
            return [encode_raw({**first, "content": content}), *turns[1:]]
        parts = list_parts(first.get("content"))
        if parts is not None:
            prefix = [make_text_part(heading if parts else heading.strip()), *system[text is not None :]]
            content = prefix + parts if parts or len(prefix) > 1 else heading.strip()
            return [encode_raw({**first, "content": content}), *turns[1:]]
    content = heading.strip() if len(system) == 1 and text else [make_text_part(heading.strip()), *system[1:]]
    system_turn = encode_raw({"role": "user", "content": content})
    filler = (
        [FILLER_TURNS["user"]] if first is not None and decode_string(first.get("role")) == "user" else []
    )
    return [system_turn, *filler, *turns]
