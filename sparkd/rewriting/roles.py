"""Strict turns, for chat templates that refuse anything else: user, assistant, user, and no system message.

Nothing is lost on the way. Neighbours of one role are merged: texts are joined, parts and tool calls stand behind each
other. Where a merger would lose something (two names, say) a short turn of the other role goes between.
Results of tools stay what they are, however many follow each other.
"""

from __future__ import annotations

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.case import Case
from sparkd.rewriting.decoding import Fields, fields_of, is_null, items_of, raw, text_of
from sparkd.rewriting.text import join_text, joins_text, text_in

SYSTEM = ("system", "developer")
BETWEEN = {
    "user": raw({"role": "assistant", "content": "Understood."}),
    "assistant": raw({"role": "user", "content": "Continue."}),
}
"""What goes between two neighbours of this role that cannot be merged."""

_JOINED = ("content", "reasoning_content", "reasoning")
_HEADING = "[System Instruction]\n"


def alternate_roles(case: Case, body: JsonBody) -> JsonBody:
    """Make the roles of `messages` take turns, beginning with the user."""
    messages = items_of(body.fields.get("messages"))
    if messages is None:
        return body
    system, turns = _without_system(messages)
    turns = _in_turns(turns)
    if system:
        turns = _instructed(system, turns)
    if not turns:
        turns = [raw({"role": "user", "content": "Hi"})]
    elif role_of(turns[0]) != "user":
        turns.insert(0, raw({"role": "user", "content": " "}))
    same = len(turns) == len(messages) and all(map(_is, turns, messages))
    if same:
        return body
    merged = body.with_field("messages", turns)
    # A text beside parts without any words has become parts again.
    return join_text(case, merged) if joins_text(case.model) else merged


def role_of(message: msgspec.Raw) -> str | None:
    """Who speaks."""
    return text_of((fields_of(message) or {}).get("role"))


def _is(one: object, other: object) -> bool:
    return one is other


def _without_system(messages: list[msgspec.Raw]) -> tuple[list[msgspec.Raw], list[msgspec.Raw]]:
    """The parts of all system messages with one text in front, and the other messages."""
    texts: list[str] = []
    others: list[msgspec.Raw] = []
    turns: list[msgspec.Raw] = []
    for message in messages:
        if role_of(message) not in SYSTEM:
            turns.append(message)
            continue
        for part in _parts((fields_of(message) or {}).get("content")) or ():
            text = text_in(part)
            if text is None:
                others.append(part)
            elif text:
                texts.append(text)
    if texts:
        others.insert(0, _text_part("\n\n".join(texts)))
    return others, turns


def _in_turns(messages: list[msgspec.Raw]) -> list[msgspec.Raw]:
    turns: list[msgspec.Raw] = []
    before: Fields | None = None
    for message in messages:
        fields = fields_of(message)
        role = text_of((fields or {}).get("role"))
        if fields and before and role in BETWEEN and role == text_of(before.get("role")):
            merged = _merged(before, fields)
            if merged is not None:
                turns[-1], before = raw(merged), merged
                continue
            turns.append(BETWEEN[role])
        turns.append(message)
        before = fields
    return turns


def _merged(first: Fields, second: Fields) -> Fields | None:
    """Both messages in one; None where that would lose something."""
    merged = dict(first)
    for name, value in second.items():
        held = merged.get(name)
        if held is None or is_null(held):
            merged[name] = value
        elif is_null(value) or (value == held and name not in (*_JOINED, "tool_calls")):
            continue
        elif name in _JOINED and (joined := _joined(held, value)) is not None:
            merged[name] = joined
        elif name == "tool_calls" and (calls := _appended(held, value)) is not None:
            merged[name] = calls
        else:
            return None
    return merged


def _joined(first: msgspec.Raw, second: msgspec.Raw) -> msgspec.Raw | None:
    one, other = text_of(first), text_of(second)
    if one is not None and other is not None:
        return raw(f"{one}\n\n{other}")
    parts, more = _parts(first), _parts(second)
    return None if parts is None or more is None else raw(parts + more)


def _appended(first: msgspec.Raw, second: msgspec.Raw) -> msgspec.Raw | None:
    one, other = items_of(first), items_of(second)
    return None if one is None or other is None else raw(one + other)


def _parts(content: msgspec.Raw | None) -> list[msgspec.Raw] | None:
    """Content as parts; None where it is neither a text nor parts."""
    if is_null(content):
        return []
    text = text_of(content)
    return items_of(content) if text is None else [_text_part(text)]


def _text_part(text: str) -> msgspec.Raw:
    return raw({"type": "text", "text": text})


def _instructed(system: list[msgspec.Raw], turns: list[msgspec.Raw]) -> list[msgspec.Raw]:
    """The system's words in front of the first user's, or as a turn of their own."""
    words = text_in(system[0])
    heading = f"{_HEADING}{words or ''}\n\n"
    first = fields_of(turns[0]) if turns else None
    if first is not None and text_of(first.get("role")) == "user":
        text = text_of(first.get("content"))
        if text is not None and words is not None and len(system) == 1:
            return [raw({**first, "content": heading + text}), *turns[1:]]
        parts = _parts(first.get("content"))
        if parts is not None:
            ahead = [_text_part(heading if parts else heading.strip()), *system[words is not None :]]
            content: object = ahead + parts if parts or len(ahead) > 1 else heading.strip()
            return [raw({**first, "content": content}), *turns[1:]]
    content = heading.strip() if len(system) == 1 and words else [_text_part(heading.strip()), *system[1:]]
    own = raw({"role": "user", "content": content})
    between = [BETWEEN["user"]] if first is not None and text_of(first.get("role")) == "user" else []
    return [own, *between, *turns]
