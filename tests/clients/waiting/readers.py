"""What other programs demand of a stream: a function for each, of strict readers and of naive ones.

They imitate those programs from what is known of them; none is their code.

A reader gets the pieces of a response, in order, and returns the text. It raises Broken where its program would fail,
and LookedDead where its program would give up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.clients.waiting.clock import BYTE_TIMEOUT, CHUNK_TIMEOUT
from tests.clients.waiting.raw import Piece

DONE: Final = "[DONE]"


class Broken(Exception):
    """The program cannot read this."""


class LookedDead(Exception):
    """The program has given up: its timeout ran out."""


@dataclass(frozen=True)
class Frame:
    """One SSE event: its lines, and when its end arrived."""

    seconds: float
    lines: tuple[str, ...]

    @property
    def data(self) -> str | None:
        """Its data; None for a comment."""
        parts = [line[5:].lstrip(" ") for line in self.lines if line.startswith("data:")]
        return "\n".join(parts) if parts else None


def split_frames(pieces: Sequence[Piece]) -> list[Frame]:
    """Return the frames of a stream. Fails if the stream ends within one."""
    frames, rest = [], b""
    for piece in pieces:
        *whole, rest = (rest + piece.data).split(b"\n\n")
        frames += [Frame(piece.seconds, tuple(frame.decode().split("\n"))) for frame in whole]
    if rest:
        raise Broken(f"the stream ends within a frame: {rest!r}")
    return frames


def check_gaps(moments: Iterable[float], longest: float) -> None:
    """Raise LookedDead if there is a longer pause before one of these moments."""
    before = 0.0
    for moment in moments:
        if moment - before > longest:
            raise LookedDead(f"nothing for {moment - before:.1f} s")
        before = moment


def parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Broken(f"no JSON: {text!r}") from error


def parse_chunks(frames: Iterable[Frame]) -> Iterator[tuple[float, dict[str, Any]]]:
    """Yield the chunks of frames with data, up to the end."""
    for frame in frames:
        if frame.data is None:
            continue
        if frame.data == DONE:
            return
        yield frame.seconds, parse(frame.data)
    raise Broken("the stream has no end")


def text_of(chunk: dict[str, Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])


def read_strict_serde(pieces: Sequence[Piece]) -> str:
    """Zed: lines with data must be a chunk with `choices`, or an error without them. Everything else is skipped."""
    text = ""
    for _, chunk in parse_chunks(split_frames(pieces)):
        if "choices" not in chunk:
            raise Broken(f"no choices: {chunk}")
        for choice in chunk["choices"]:
            if not isinstance(choice.get("index"), int) or choice["delta"].get("role", "user") not in (
                "assistant",
                "user",
                "system",
                "tool",
            ):
                raise Broken(f"a choice has no index, or an unknown role: {choice}")
        text += text_of(chunk)
    return text


def read_line_by_line(pieces: Sequence[Piece]) -> str:
    """Continue: reads each network chunk's lines; a line that begins with `: ping` ends its work on that chunk."""
    text, buffer = "", ""
    for piece in pieces:
        buffer += piece.data.decode()
        while "\n" in buffer:
            line, buffer = buffer.split("\n", 1)
            if line.startswith((": ping", "data: [DONE]")):
                break
            if line.startswith("data:"):
                text += text_of(parse(line[5:].strip()))
    return text


def read_blocks_with_data(pieces: Sequence[Piece]) -> str:
    """OpenClaw before it skipped comments: every block must have data."""
    frames = split_frames(pieces)
    for frame in frames:
        if frame.data is None:
            raise Broken(f"a block without data: {frame.lines}")
    return "".join(text_of(chunk) for _, chunk in parse_chunks(frames))


def read_fields(pieces: Sequence[Piece]) -> str:
    """mistral-vibe: every line that is not empty has a name and a value, with `: ` between them."""
    text = ""
    for frame in split_frames(pieces):
        for line in frame.lines:
            name, separator, value = line.partition(": ")
            if not separator:
                raise Broken(f"no field: {line!r}")
            if name == "data" and value != DONE:
                text += text_of(parse(value))
    return text


def read_one_id(pieces: Sequence[Piece]) -> str:
    """openai-go's accumulator: drops every chunk whose id is not that of the first."""
    text, first = "", None
    for _, chunk in parse_chunks(split_frames(pieces)):
        first = first or chunk["id"]
        text += text_of(chunk) if chunk["id"] == first else ""
    return text


def read_naively(pieces: Sequence[Piece]) -> str:
    """Many small programs: every line begins with `data: `, and every chunk has a first choice."""
    text = ""
    for frame in split_frames(pieces):
        for line in frame.lines:
            if not line.startswith("data: "):
                raise Broken(f"no data: {line!r}")
            if line != f"data: {DONE}":
                chunk = parse(line[6:])
                if not chunk["choices"]:
                    raise Broken(f"no first choice: {chunk}")
                text += chunk["choices"][0]["delta"].get("content") or ""
    return text


def read_parsed_events(pieces: Sequence[Piece]) -> str:
    """OpenClaw: parsed events must come in time, and comments do not count."""
    chunks = list(parse_chunks(split_frames(pieces)))
    check_gaps((seconds for seconds, _ in chunks), CHUNK_TIMEOUT)
    return "".join(text_of(chunk) for _, chunk in chunks)


def read_meaning(pieces: Sequence[Piece]) -> str:
    """jcode and others: only text, reasoning and calls count."""
    chunks = list(parse_chunks(split_frames(pieces)))
    check_gaps((seconds for seconds, chunk in chunks if _means_something(chunk)), CHUNK_TIMEOUT)
    return "".join(text_of(chunk) for _, chunk in chunks)


def _means_something(chunk: dict[str, Any]) -> bool:
    names = ("content", "reasoning", "reasoning_content", "tool_calls")
    return any(choice["delta"].get(name) for choice in chunk["choices"] for name in names)


def read_raw_bytes(pieces: Sequence[Piece]) -> str:
    """OpenCode, or nginx in front with 300 s: any bytes count."""
    check_gaps((piece.seconds for piece in pieces), BYTE_TIMEOUT)
    return "".join(text_of(chunk) for _, chunk in parse_chunks(split_frames(pieces)))


def read_codex_events(pieces: Sequence[Piece]) -> str:
    """Codex: any event with data counts, unknown types are ignored, and the last one is `response.completed`."""
    events = [(frame.seconds, parse(frame.data)) for frame in split_frames(pieces) if frame.data is not None]
    check_gaps((seconds for seconds, _ in events), BYTE_TIMEOUT)
    numbers = [event["sequence_number"] for _, event in events if event["type"].startswith("response.")]
    if numbers != sorted(set(numbers)):
        raise Broken(f"sequence numbers do not grow: {numbers}")
    if events[-1][1]["type"] != "response.completed":
        raise Broken(f"the last event is {events[-1][1]['type']}")
    return "".join(event["delta"] for _, event in events if event["type"] == "response.output_text.delta")


def read_message_events(pieces: Sequence[Piece]) -> str:
    """Claude Code: any bytes count, and pings may be anywhere."""
    check_gaps((piece.seconds for piece in pieces), BYTE_TIMEOUT)
    events = [parse(frame.data) for frame in split_frames(pieces) if frame.data is not None]
    known = [event for event in events if event["type"] != "ping"]
    if known[0]["type"] != "message_start" or known[-1]["type"] != "message_stop":
        raise Broken(f"from {known[0]['type']} to {known[-1]['type']}")
    deltas = [event["delta"] for event in known if event["type"] == "content_block_delta"]
    return "".join(delta.get("text", "") for delta in deltas)


@dataclass(frozen=True)
class Reader:
    """A reader: whose it is, the API it reads, and when it gives up, in simulated seconds."""

    title: str
    api: str
    limit: str
    read: Callable[[Sequence[Piece]], str]


READERS: Final = (
    Reader("Zed", "chat", "never", read_strict_serde),
    Reader("Continue", "chat", "never", read_line_by_line),
    Reader("OpenClaw, older", "chat", "never", read_blocks_with_data),
    Reader("OpenClaw", "chat", "120 s without an event", read_parsed_events),
    Reader("OpenCode", "chat", "300 s without a byte", read_raw_bytes),
    Reader("mistral-vibe", "chat", "never", read_fields),
    Reader("OpenAI, Go", "chat", "never", read_one_id),
    Reader("jcode", "chat", "120 s without text", read_meaning),
    Reader("readers of `data: ` lines only", "chat", "never", read_naively),
    Reader("Codex", "responses", "300 s without an event", read_codex_events),
    Reader("Claude Code", "messages", "300 s without a byte", read_message_events),
)
