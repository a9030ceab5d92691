"""Takes out of a stream what an engine sends only because sparkd has asked for the usage.

That is the chunk with the usage, which has no choices; in some engines `"usage"` within other chunks; and vLLM's
`system_fingerprint`, which moves from the last chunk with a choice to that chunk. So this last chunk is kept until the
next event, which vLLM sends at the same moment. What remains is the stream that the client would have got, byte for
byte.
"""

from __future__ import annotations

from typing import Final

import msgspec

from sparkd.catalog.definitions import EngineName

_NEAR_END: Final = 16 * 1024
"""Bytes at the end of a read in which vLLM's and SGLang's usage is looked for: only `[DONE]` follows it."""

_USAGE: Final = b'"usage"'
_FINISHED: Final = b'"finish_reason":"'
_FINGERPRINT: Final = "system_fingerprint"
_NULL: Final = msgspec.Raw(b"null")
_EMPTY: Final = msgspec.Raw(b"[]")

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class UsageFilter:
    """Filters one stream of an engine of this kind. Takes whole lines."""

    def __init__(self, engine: EngineName) -> None:
        self._keeps_last = engine == "vllm"
        self._keeps_null = engine == "sglang"  # it writes `"usage":null` in any case
        self._looks_near_end = engine != "command"
        self._held: list[bytes] = []
        """The last chunk with a choice, and the blank line after it."""
        self._is_blank_due = False
        """A line was taken out, and the blank line after it has not come yet."""
        self._is_cut = False
        """The last line that was taken out ends with a carriage return, to which a line feed may belong."""

    def feed(self, lines: bytes, *, more: bool) -> bytes:
        """Take complete lines; return those that can be passed on, all of them if there is no `more`."""
        if self._held or self._is_blank_due or self._is_cut or self._is_concerned(lines):
            lines = b"".join(self._filter(lines))
        if not more and self._held:
            lines += self._release(None)
        return lines

    def _is_concerned(self, lines: bytes) -> bool:
        start = max(0, len(lines) - _NEAR_END) if self._looks_near_end else 0
        if lines.find(_USAGE, start) >= 0:
            return True
        return self._keeps_last and lines.find(_FINISHED, start) >= 0

    def _filter(self, lines: bytes) -> list[bytes]:
        if self._is_cut and lines:
            self._is_cut = False
            lines = lines.removeprefix(b"\n")
        passed: list[bytes] = []
        for line in lines.splitlines(keepends=True):
            self._is_cut = False
            if not line.strip(b"\r\n"):
                self._take_blank(line, passed)
            elif self._keeps_last and _FINISHED in line and line.startswith(b"data:"):
                self._is_blank_due = False
                passed += (self._release(None), self._hold(line))
            else:
                self._is_blank_due = False
                passed.append(self._take_line(line))
        return passed

    def _take_blank(self, line: bytes, passed: list[bytes]) -> None:
        if self._is_blank_due:
            self._is_blank_due = False
            self._is_cut = line.endswith(b"\r")
        else:
            (self._held or passed).append(line)

    def _take_line(self, line: bytes) -> bytes:
        """What to pass on for a line, after what was kept."""
        fields = _read(line) if _USAGE in line else None
        usage = fields.get("usage") if fields is not None else None
        if fields is None or usage is None or (usage == _NULL and self._keeps_null):
            return self._release(None) + line
        if usage == _NULL or fields.get("choices", _EMPTY) != _EMPTY:
            return self._release(None) + _without_usage(line, fields)
        self._is_blank_due = True
        self._is_cut = line.endswith(b"\r")
        return self._release(fields.get(_FINGERPRINT))

    def _hold(self, line: bytes) -> bytes:
        """Keep the last chunk with a choice; return nothing."""
        if _USAGE in line and (fields := _read(line)) is not None and "usage" in fields:
            line = _without_usage(line, fields)
        self._held = [line]
        return b""

    def _release(self, fingerprint: msgspec.Raw | None) -> bytes:
        """What was kept, with the fingerprint where vLLM puts it: after the choices, which are last."""
        held, self._held = self._held, []
        if held and fingerprint is not None and fingerprint != _NULL:
            line = held[0]
            end = line.rfind(b"}")
            held[0] = b'%b,"%b":%b%b' % (line[:end], _FINGERPRINT.encode(), bytes(fingerprint), line[end:])
        return b"".join(held)


def _read(line: bytes) -> dict[str, msgspec.Raw] | None:
    """The fields of the chunk in a line, None if there are none."""
    if not line.startswith(b"data:"):
        return None
    try:
        return _decode(line[5:].strip())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _without_usage(line: bytes, fields: dict[str, msgspec.Raw]) -> bytes:
    """The line without the member `usage` of its chunk, every other byte as it was."""
    usage = bytes(fields["usage"])
    wanted = {name: value for name, value in fields.items() if name != "usage"}
    at = line.rfind(_USAGE)
    while at >= 0:
        value = line.find(usage, at + len(_USAGE))
        if line[at + len(_USAGE) : value].strip() == b":":
            shorter = _cut_member(line, at, value + len(usage))
            if _read(shorter) == wanted:
                return shorter
        at = line.rfind(_USAGE, 0, at)
    return line


def _cut_member(line: bytes, start: int, end: int) -> bytes:
    """The line without these bytes, and without the comma that separates them from what is before or after them."""
    before, after = line[:start].rstrip(), line[end:]
    if before.endswith(b","):
        return before[:-1] + after
    return line[:start] + after.lstrip().removeprefix(b",").lstrip()
