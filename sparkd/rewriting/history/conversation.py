"""The turns of a conversation: the messages of chat and messages, the items of responses.

They are decoded once for all rules. A rule reads `turns` or `values`, and replaces the few that it changes; the others
keep their bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import (
    Fields,
    decode_array,
    decode_object,
    decode_string,
    decode_value,
    encode_raw,
)
from sparkd.rewriting.history.traits import NO_USER, NOT_A_LIST, UNUSUAL, list_traits
from sparkd.rewriting.images import TURN_FIELDS
from sparkd.rewriting.rewrite_context import Api, RewriteContext

SYSTEM_ROLES = ("system", "developer")

_OBJECT = b"{"
_NO_TRAITS: frozenset[str] = frozenset()
_NO_TURNS = frozenset({NO_USER})

NewTurn = Fields | msgspec.Raw
Changes = Mapping[int, Sequence[NewTurn]]
"""What replaces a turn, by its index: nothing, or one turn or more."""

FixTurn = Callable[[RewriteContext, Fields], Sequence[NewTurn] | None]
"""What replaces a turn; None to keep it."""

_turns_decoder = msgspec.json.Decoder(list[Fields])


class Conversation:
    """The turns of a body, and what most rules ask of them. A turn that is not an object is empty here."""

    def __init__(self, value: msgspec.Raw) -> None:
        self._value = value
        self._traits: dict[Api, frozenset[str] | None] = {}

    @cached_property
    def is_list(self) -> bool:
        """Whether it has turns: it is a list, and not nested too deeply."""
        return self.values is not None or decode_array(self._value) is not None

    @cached_property
    def turns(self) -> list[Fields]:
        """The fields of each turn, undecoded."""
        try:
            return _turns_decoder.decode(self._value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # One of them is not an object, or is nested too deeply.
            return [decode_object(turn) or {} for turn in self.raw_turns]

    @cached_property
    def values(self) -> list[Any] | None:
        """The turns, completely decoded; None if one of them cannot be."""
        decoded = decode_value(self._value) if read_kind(self._value) == "[" else None
        return decoded if isinstance(decoded, list) else None

    @cached_property
    def decoded_turns(self) -> list[dict[str, Any]]:
        """The turns, decoded as far as possible."""
        if self.values is not None:
            return [turn if isinstance(turn, dict) else {} for turn in self.values]
        return [{name: decode_value(value) for name, value in turn.items()} for turn in self.turns]

    @cached_property
    def keys(self) -> set[str]:
        """All names of fields that turns have."""
        return set().union(*self.turns)

    @cached_property
    def raw_turns(self) -> list[msgspec.Raw]:
        """The turns, undecoded."""
        return decode_array(self._value) or []

    @cached_property
    def roles(self) -> list[str | None]:
        """The role of each turn; None for an item without one."""
        return [decode_string(turn.get("role")) for turn in self.turns]

    def list_traits(self, api: Api) -> frozenset[str] | None:
        """The traits of the conversation; None if it cannot be decoded, so that it may have any."""
        if api not in self._traits:
            self._traits[api] = self._find_traits(api)
        return self._traits[api]

    def has_trait(self, api: Api, trait: str) -> bool:
        """Whether it has, or may have, a trait."""
        traits = self.list_traits(api)
        return traits is None or trait in traits

    def _find_traits(self, api: Api) -> frozenset[str] | None:
        kind = read_kind(self._value)
        if kind != "[":
            return frozenset({NOT_A_LIST}) if kind == "{" else frozenset()
        if _OBJECT not in bytes(self._value):  # texts or numbers, such as those of embeddings
            return frozenset({UNUSUAL, NO_USER})
        return None if self.values is None else list_traits(api, self.values)


def turns_field(api: Api) -> str:
    """The field that holds the conversation."""
    return "input" if api == "responses" else "messages"


def read_conversation(context: RewriteContext, body: JsonBody) -> Conversation | None:
    """The conversation of a body; None if it has no list of turns."""
    conversation = body.derive(turns_field(context.api), Conversation)
    return conversation if conversation is not None and conversation.is_list else None


def find_traits(api: Api, body: JsonBody) -> frozenset[str] | None:
    """The traits of what may be a conversation in a body of any API; None if it may have any."""
    found = _NO_TRAITS if turns_field(api) in body.fields else _NO_TURNS
    for name in TURN_FIELDS:
        conversation = body.derive(name, Conversation)
        if conversation is None:
            continue
        traits = conversation.list_traits(api)
        if traits is None:
            return None
        found = found | traits if found else traits
    return found


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
