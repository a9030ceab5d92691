"""Parses JSON with comments and trailing commas, as editors and agents accept it, with the place of each value."""

from __future__ import annotations

import json
import re
from typing import Any

from msgspec import Struct

from sparkd.clients.formats.invalid import InvalidText

_skipped = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_string = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_literal = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")


class Node(Struct):
    """A value and its place, from `start` to before `end`. `members` is None unless it is an object or an array."""

    start: int
    end: int
    value: Any
    members: list[Member] | None = None


class Member(Struct):
    """A member of an object, or an item of an array, whose key is "". `comma` is the place of the comma behind it."""

    start: int
    key: str
    node: Node
    comma: int | None = None


def parse_nodes(text: str) -> Node | None:
    """The value of a text, None if it has none. Raises InvalidText."""
    parser = _Parser(text)
    try:
        return parser.parse_document()
    except RecursionError as error:
        raise InvalidText("invalid JSON: it is nested too deeply") from error


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def parse_document(self) -> Node | None:
        self._skip()
        if self._position == len(self._text):
            return None
        node = self._parse_value()
        self._skip()
        if self._position < len(self._text):
            raise self._error("expected the end of the file")
        return node

    def _parse_value(self) -> Node:
        start = self._position
        opening = self._text[start : start + 1]
        if opening == "{":
            members = self._parse_members("}", has_keys=True)
            value: Any = {member.key: member.node.value for member in members}
            return Node(start, self._position, value, members)
        if opening == "[":
            members = self._parse_members("]", has_keys=False)
            return Node(start, self._position, [member.node.value for member in members], members)
        if opening == '"':
            text = self._parse_string()
            return Node(start, self._position, text)
        found = _literal.match(self._text, start)
        if found is None:
            raise self._error("expected a value")
        self._position = found.end()
        return Node(start, self._position, json.loads(found[0]))

    def _parse_string(self) -> str:
        found = _string.match(self._text, self._position)
        if found is None:
            raise self._error("expected a text in double quotes")
        try:
            value: str = json.loads(found[0])
        except ValueError:
            raise self._error("a text has an invalid escape sequence") from None
        self._position = found.end()
        return value

    def _parse_members(self, closing: str, *, has_keys: bool) -> list[Member]:
        members: list[Member] = []
        self._position += 1
        self._skip()
        while not self._text.startswith(closing, self._position):
            if members and members[-1].comma is None:
                raise self._error(f"expected `,` or `{closing}`")
            members.append(self._parse_member(has_keys=has_keys))
            self._skip()
            if self._text.startswith(",", self._position):
                members[-1].comma = self._position
                self._position += 1
                self._skip()
        self._position += 1
        return members

    def _parse_member(self, *, has_keys: bool) -> Member:
        start = self._position
        key = ""
        if has_keys:
            key = self._parse_string()
            self._skip()
            if not self._text.startswith(":", self._position):
                raise self._error("expected `:`")
            self._position += 1
            self._skip()
        return Member(start, key, self._parse_value())

    def _skip(self) -> None:
        found = _skipped.match(self._text, self._position)
        if found is not None:
            self._position = found.end()

    def _error(self, reason: str) -> InvalidText:
        return InvalidText(f"invalid JSON: {reason}", self._text.count("\n", 0, self._position) + 1)
