"""Bytes of a terminal become names of keys."""

from __future__ import annotations

import codecs
import re
from typing import Final

ESCAPE: Final = "escape"
PASTE: Final = "paste:"
"""How the "key" of a pasted text begins. The text follows, without control characters."""

_NAMES: Final = {
    b"A": "up",
    b"B": "down",
    b"C": "right",
    b"D": "left",
    b"H": "home",
    b"F": "end",
    b"Z": "backtab",
    b"1~": "home",
    b"4~": "end",
    b"5~": "pageup",
    b"6~": "pagedown",
    b"7~": "home",
    b"8~": "end",
    b"3~": "delete",
}
_CONTROLS: Final = {
    "\r": "enter",
    "\n": "enter",
    "\t": "tab",
    "\x7f": "backspace",
    "\b": "backspace",
    "\x02": "pageup",
    "\x06": "pagedown",
    "\x0c": "redraw",
    "\x15": "clear",
}
_SEQUENCE: Final = re.compile(rb"\x1b(?:\[([0-?]*[ -/]*[@-~])|O([@-~]))")
_UNFINISHED: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|O)?\Z")
_PASTE_BEGINS: Final = b"\x1b[200~"
_PASTE_ENDS: Final = b"\x1b[201~"
_MAX_PASTE: Final = 4096
"""Bytes of a paste that are kept while its end has not arrived."""


class KeyParser:
    """Finds keys in the pieces that a terminal sends, wherever they are cut.

    A printable character is its own name. Unknown sequences are skipped. A single ESC is reported by `flush` only,
    because it may be the beginning of a sequence.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")

    @property
    def is_waiting(self) -> bool:
        """Whether the bytes so far may be an ESC key, or the beginning of something longer."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[str]:
        """The keys that are complete now."""
        rest, keys = self._rest + data, list[str]()
        while rest:
            if rest.startswith(_PASTE_BEGINS):
                text, found, after = rest[len(_PASTE_BEGINS) :].partition(_PASTE_ENDS)
                if not found and len(rest) <= _MAX_PASTE:
                    break
                keys.append(PASTE + "".join(filter(str.isprintable, text.decode(errors="ignore"))))
                rest = after
            elif match := _SEQUENCE.match(rest):
                if name := _find_name(match):
                    keys.append(name)
                rest = rest[match.end() :]
            elif _UNFINISHED.match(rest):
                break
            elif (
                rest[:1] == b"\x1b"
            ):  # ESC and a key together: Alt and the key, or ESC typed quickly before it
                keys.append(ESCAPE)
                rest = rest[1:]
            else:
                plain, escape, after = rest.partition(b"\x1b")
                keys += _name_characters(self._decoder.decode(plain))
                rest = escape + after
        self._rest = rest
        return keys

    def flush(self) -> list[str]:
        """The keys among the bytes so far if no more bytes come: ESC, if they begin with it."""
        rest, self._rest = self._rest, b""
        if rest.startswith(_PASTE_BEGINS):
            self._rest = rest
            return []
        return [ESCAPE] if rest else []


def _find_name(match: re.Match[bytes]) -> str | None:
    end: bytes = match[1] or match[2]
    # "1;5A" is Ctrl and an arrow: the key without the modifier.
    return _NAMES.get(end) or (_NAMES.get(end[-1:]) if end[:2] == b"1;" else None)


def _name_characters(text: str) -> list[str]:
    return [name for each in text if (name := _CONTROLS.get(each, each if each.isprintable() else "")) != ""]
