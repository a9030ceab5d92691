"""JSON, edited in place: comments, trailing commas, order and indentation of a file stay.

There is no library for Python that edits JSON with comments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from sparkd.clients.formats.json_nodes import Member, Node, parse_nodes
from sparkd.clients.formats.values import align, is_same

USUAL_INDENT: Final = "  "

_first_indent = re.compile(r"[{\[]\n(?:[ \t]*//[^\n]*\n)*([ \t]+)\S")
_blank_before = re.compile(r"\n?[ \t]*\Z")
_rest_of_line = re.compile(r"[ \t]*//[^\n]*|[ \t]*/\*[^\n]*?\*/(?=[ \t]*\n)")


def parse_text(text: str) -> Any:
    """The content as plain data; None if there is none. Raises InvalidText."""
    node = parse_nodes(text)
    return None if node is None else node.value


def render_text(content: Any) -> str:
    """The text of a new file."""
    return f"{json.dumps(content, indent=2, ensure_ascii=False)}\n"


def edit_text(text: str, content: Any) -> str:
    """Raises InvalidText."""
    node = parse_nodes(text)
    if node is None:  # only comments
        return f"{text.rstrip()}\n{render_text(content)}"
    return _Editor(text).edit(node, content)


class _Editor:
    """Collects changes to a text: from, to, new text."""

    def __init__(self, text: str) -> None:
        self._text = text
        found = _first_indent.search(text)
        self._step = found[1] if found else USUAL_INDENT
        self._changes: list[tuple[int, int, str]] = []

    def edit(self, node: Node, new: Any) -> str:
        """The text with `new` in place of `node`."""
        self._change(node, new)
        edited = self._text
        for start, end, replacement in sorted(self._changes, reverse=True):
            edited = edited[:start] + replacement + edited[end:]
        return edited

    def _change(self, node: Node, new: Any) -> None:
        if is_same(node.value, new):
            return
        if node.members and isinstance(node.value, Mapping) and isinstance(new, Mapping):
            # Of two members with one key, the last counts.
            last = {member.key: member for member in node.members}
            kept = [new.get(each.key) if last[each.key] is each else each.node.value for each in node.members]
            gone = [each.key not in new for each in node.members]
            added = [(key, value) for key, value in new.items() if key not in last]
            self._change_members(node, kept, gone, added)
        elif node.members and isinstance(node.value, list) and isinstance(new, list):
            indices = align(node.value, new)
            kept = [None if index is None else new[index] for index in indices]
            gone = [index is None for index in indices]
            added = [("", value) for value in new[len(indices) - sum(gone) :]]
            self._change_members(node, kept, gone, added)
        else:
            self._changes.append((node.start, node.end, self._render(new, self._indent_at(node.start))))

    def _change_members(
        self, node: Node, kept: list[Any], gone: list[bool], added: list[tuple[str, Any]]
    ) -> None:
        members = node.members or []
        survivors = [member for member, is_gone in zip(members, gone, strict=True) if not is_gone]
        for member, value, is_gone in zip(members, kept, gone, strict=True):
            if is_gone:
                self._remove(member)
            else:
                self._change(member.node, value)
        has_trailing_comma = members[-1].comma is not None
        if added:
            self._add(node, survivors, added, has_trailing_comma=has_trailing_comma)
        elif survivors and survivors[-1].comma is not None and not has_trailing_comma:
            comma = survivors[-1].comma
            self._changes.append((comma, comma + 1, ""))

    def _remove(self, member: Member) -> None:
        before = _blank_before.search(self._text, 0, member.start)
        start = before.start() if before else member.start
        end = member.node.end if member.comma is None else member.comma + 1
        comment = _rest_of_line.match(self._text, end)
        self._changes.append((start, comment.end() if comment else end, ""))

    def _add(
        self,
        node: Node,
        survivors: list[Member],
        added: list[tuple[str, Any]],
        *,
        has_trailing_comma: bool,
    ) -> None:
        # After comments that follow the last member.
        place = node.start + len(self._text[node.start : node.end - 1].rstrip())
        first_comma = ""
        if survivors and survivors[-1].comma is None:
            end = survivors[-1].node.end
            if end == place:
                first_comma = ","
            else:
                self._changes.append((end, end, ","))
        is_spread = "\n" in self._text[node.start : node.end]
        indent = self._indent_of_members(node)
        between = f"\n{indent}" if is_spread else " "
        parts = [
            f"{json.dumps(key, ensure_ascii=False)}: {self._render(value, indent)}"
            if isinstance(node.value, Mapping)
            else self._render(value, indent)
            for key, value in added
        ]
        last_comma = "," if has_trailing_comma else ""
        text = first_comma + between + f",{between}".join(parts) + last_comma
        self._changes.append((place, place, text))

    def _indent_of_members(self, node: Node) -> str:
        for member in node.members or []:
            line = self._text[self._text.rfind("\n", 0, member.start) + 1 : member.start]
            if not line.strip():
                return line
        return self._indent_at(node.start) + self._step

    def _indent_at(self, position: int) -> str:
        line = self._text[self._text.rfind("\n", 0, position) + 1 : position]
        return line[: len(line) - len(line.lstrip())]

    def _render(self, value: Any, indent: str) -> str:
        rendered = json.dumps(value, indent=self._step, ensure_ascii=False)
        return rendered.replace("\n", f"\n{indent}")
