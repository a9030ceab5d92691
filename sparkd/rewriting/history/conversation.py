"""The turns of a conversation: the messages of chat and messages, the items of responses.

They are decoded once for all rules. A rule reads `turns`, and replaces the few that it changes; the others keep their
bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import Fields, decode_array, decode_object, decode_string, encode_raw
from sparkd.rewriting.rewrite_context import Api, RewriteContext

SYSTEM_ROLES = ("system", "developer")

NewTurn = Fields | msgspec.Raw
Changes = Mapping[int, Sequence[NewTurn]]
"""What replaces a turn, by its index: nothing, or one turn or more."""

FixTurn = Callable[[RewriteContext, Fields], Sequence[NewTurn] | None]
"""What replaces a turn; None to keep it."""

_STRUCTURED = b"[{"
_turns_decoder = msgspec.json.Decoder(list[Fields])


class Conversation:
    """The turns of a body, and what most rules ask of them. A turn that is not an object is empty here."""

    def __init__(self, value: msgspec.Raw, turns: list[Fields]) -> None:
        self._value = value
        self.turns = turns
        self.keys: set[str] = set().union(*turns)

    @cached_property
    def raw_turns(self) -> list[msgspec.Raw]:
        """The turns, undecoded."""
        return decode_array(self._value) or []

    @cached_property
    def roles(self) -> list[str | None]:
        """The role of each turn; None for an item without one."""
        return [decode_string(turn.get("role")) for turn in self.turns]

    @cached_property
    def has_only_texts(self) -> bool:
        """Whether the content of every turn is a string. True of most conversations, and cheap to know."""
        return all("content" in turn and read_kind(turn["content"]) == '"' for turn in self.turns)

    @cached_property
    def has_parts(self) -> bool:
        """Whether the content of a turn, or the output of an item, has parts or is an object."""
        values = [value for name in ("content", "output") for turn in self.turns if (value := turn.get(name))]
        return any(memoryview(value)[0] in _STRUCTURED for value in values)


def turns_field(api: Api) -> str:
    """The field that holds the conversation."""
    return "input" if api == "responses" else "messages"


def read_conversation(context: RewriteContext, body: JsonBody) -> Conversation | None:
    """The conversation of a body; None if it has no list of turns."""
    return body.derive(turns_field(context.api), _read_conversation)


def _read_conversation(value: msgspec.Raw) -> Conversation | None:
    if read_kind(value) != "[":
        return None
    try:
        return Conversation(value, _turns_decoder.decode(value))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        turns = decode_array(value)  # one of them is not an object, or is nested too deeply
        return None if turns is None else Conversation(value, [decode_object(turn) or {} for turn in turns])


def replace_turns(
    context: RewriteContext, body: JsonBody, conversation: Conversation, changes: Changes
) -> JsonBody:
    """A body with some turns replaced; the same object if there are none to replace."""
    if not changes:
        return body
    turns: list[NewTurn] = []
    for index, raw in enumerate(conversation.raw_turns):
        turns.extend(changes.get(index, (raw,)))
    turns.extend(changes.get(len(conversation.turns), ()))
    return body.with_field(turns_field(context.api), turns)


def fix_turns(context: RewriteContext, body: JsonBody, fix: FixTurn) -> JsonBody:
    """A body with each turn replaced by what `fix` makes of it."""
    conversation = read_conversation(context, body)
    if conversation is None:
        return body
    changes = {
        index: new
        for index, turn in enumerate(conversation.turns)
        if turn and (new := fix(context, turn)) is not None
    }
    return replace_turns(context, body, conversation, changes)


def read_kind(value: msgspec.Raw | None) -> str:
    """The first character of a value, which says what it is: `"`, `[`, `{`, `n`, …; "" if it is missing."""
    return "" if value is None else chr(memoryview(value)[0])


def with_values(fields: Fields, values: Mapping[str, object]) -> Fields:
    """Fields with some set."""
    return {**fields, **{name: encode_raw(value) for name, value in values.items()}}
