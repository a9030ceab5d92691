"""The readers of other programs notice what they must notice: each is given a stream that its program cannot read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.waiting.clock import CHUNK_TIMEOUT
from tests.clients.waiting.raw import Piece
from tests.clients.waiting.readers import READERS, Broken, LookedDead, Reader
from tests.clients.waiting.record import FOLDER

BY_TITLE = {reader.title: reader for reader in READERS}


def recorded(api: str) -> bytes:
    frames = (FOLDER / f"{api}-text.sse").read_bytes().split(b"\n\n")
    return b"\n\n".join(frame for frame in frames if b'"choices":[],' not in frame)


def chunk(delta: dict[str, Any], **fields: Any) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": None}]
    return (
        b"data: "
        + json.dumps({"id": "chatcmpl-recorded-request", "choices": choices, **fields}).encode()
        + b"\n\n"
    )


def read(title: str, *before: bytes, pause: float = 0.0) -> str:
    """Have a reader read a recorded stream with other frames before it, and with that pause between any two."""
    reader = BY_TITLE[title]
    pieces = [*before, recorded(reader.api)]
    return reader.read([Piece(number * pause, data) for number, data in enumerate(pieces, 1)])


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.title)
def test_a_plain_stream_can_be_read_by_all(reader: Reader) -> None:
    assert read(reader.title) == "Hello from the scripted model."


@pytest.mark.parametrize(
    ("title", "frame"),
    [
        ("Zed", b"data: \n\n"),
        ("Zed", chunk({"role": "helper"})),
        ("Zed", b'data: {"id": "x"}\n\n'),
        ("OpenClaw, older", b": keep-alive\n\n"),
        ("mistral-vibe", b":\n\n"),
        ("readers of `data: ` lines only", b": keep-alive\n\n"),
        ("readers of `data: ` lines only", chunk({}, choices=[])),
        ("Codex", b'event: response.keepalive\ndata: {"type": "response.x", "sequence_number": 3}\n\n'),
        ("Claude Code", b'event: x\ndata: {"type": "content_block_stop", "index": 0}\n\n'),
        ("OpenCode", b"data: {"),
    ],
)
def test_a_frame_that_breaks_a_reader(title: str, frame: bytes) -> None:
    with pytest.raises(Broken):
        read(title, frame)


def test_a_line_of_ping_hides_what_arrives_with_it_and_last() -> None:
    assert read("Continue", b": ping\n\n") == "Hello from the scripted model.", "it came alone"
    together = b": ping\n\n" + recorded("chat")
    assert BY_TITLE["Continue"].read([Piece(1.0, together)]) == ""


def test_another_id_makes_an_accumulator_drop_the_rest() -> None:
    assert read("OpenAI, Go", chunk({"content": "x"}, id="another")) == "x"


@pytest.mark.parametrize(
    ("title", "frame"),
    [
        ("OpenClaw", b": keep-alive\n\n"),
        ("jcode", b": keep-alive\n\n"),
        ("jcode", chunk({"role": "assistant", "content": ""})),
    ],
)
def test_a_frame_that_does_not_count(title: str, frame: bytes) -> None:
    pause = 0.7 * CHUNK_TIMEOUT
    with pytest.raises(LookedDead):
        read(title, frame, pause=pause)
    assert read(title, chunk({"content": " "}), pause=pause)
