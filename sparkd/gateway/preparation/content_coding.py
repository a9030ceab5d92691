"""Compressed request bodies (`Content-Encoding`, RFC 9110 8.4), decompressed piece by piece as they arrive.

Each piece is bounded, and so is what all pieces of a body have together: 10 MB that unpack to 10 GB are rejected at the
limit, without the memory and without blocking the event loop.
"""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

from starlette.types import Message, Receive

from sparkd.errors import EncodingNotSupported, InvalidRequest
from sparkd.gateway.preparation.body import Limits, receive_body

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

PIECE: Final = 128 * 1024
"""The most bytes that are decompressed at once, which takes about a millisecond."""

_INPUT: Final = 4096
"""Bytes that a decompressor gets at once. It copies those that follow the end of a stream, and there may be hundreds of
empty streams in a row."""

MAX_CODINGS: Final = 4
"""The most codings of one body, one inside the other. Clients use one."""

_WINDOW_LOG: Final = 23
"""8 MiB, the largest window in HTTP (RFC 9659). A decompressor allocates as much as the body says."""


_MAX_STREAMS: Final = 10_000
"""The most streams in a row in one body. Parallel compressors make one for each 64 KiB or more."""


class Decompressor(Protocol):
    """One coding of one body."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what is decompressed from the next piece of the body, at most PIECE bytes at a time."""
        ...

    def is_complete(self) -> bool:
        """Whether the body may end here."""
        ...


class _Zlib:
    """gzip, of one member or several in a row, or deflate. `wbits` selects the format (see zlib)."""

    def __init__(self, wbits: int, *, is_repeatable: bool) -> None:
        self._wbits = wbits
        self._is_repeatable = is_repeatable
        self._stream = zlib.decompressobj(wbits)
        self._is_begun = False
        self._streams = 1

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._stream.eof:
                self._streams += 1
                if self._streams > (_MAX_STREAMS if self._is_repeatable else 1):
                    raise zlib.error("there is more after its end")
                self._stream = zlib.decompressobj(self._wbits)
            self._is_begun = True
            yield self._stream.decompress(data, PIECE)
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            yield from self._flush_rest(data)

    def _flush_rest(self, data: bytes) -> Iterator[bytes]:
        """What the stream has already read but not yet returned, once no input is left."""
        while not data and not self._stream.eof and (rest := self._stream.decompress(b"", PIECE)):
            yield rest

    def is_complete(self) -> bool:
        return self._stream.eof or not self._is_begun


class _Deflate:
    """deflate: in the zlib format, as RFC 9110 has it, or raw, as some clients send it."""

    def __init__(self) -> None:
        self._start = b""
        self._inner: _Zlib | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._inner is None:
            data = self._start = self._start + data
            if len(data) < 2:
                return
            # The header of the zlib format: method 8, and a checksum. No raw stream of an encoder begins like that.
            is_zlib = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._inner = _Zlib(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS, is_repeatable=False)
        yield from self._inner.feed(data)

    def is_complete(self) -> bool:
        return not self._start if self._inner is None else self._inner.is_complete()


class _Zstd:
    """zstd: one frame, or several in a row."""

    def __init__(self) -> None:
        self._frame = self._new()
        self._is_begun = False
        self._frames = 1

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data or not (self._frame.needs_input or self._frame.eof):
            if self._frame.eof:
                self._frames += 1
                if self._frames > _MAX_STREAMS:
                    raise ZstdError("there is more after its end")
                self._frame = self._new()
            self._is_begun = True
            yield self._frame.decompress(data, PIECE)
            data = self._frame.unused_data if self._frame.eof else b""

    def is_complete(self) -> bool:
        return self._frame.eof or not self._is_begun

    @staticmethod
    def _new() -> ZstdDecompressor:
        return ZstdDecompressor(options={DecompressionParameter.window_log_max: _WINDOW_LOG})


def _gzip() -> Decompressor:
    return _Zlib(16 + zlib.MAX_WBITS, is_repeatable=True)


_DECOMPRESSORS: Final[Mapping[str, Callable[[], Decompressor]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _Deflate,
    "zstd": _Zstd,
}

ACCEPTED: Final = "gzip, deflate, zstd, identity"
"""The value of `Accept-Encoding` in a response that rejects a coding (RFC 9110 15.5.16)."""


def parse_codings(values: list[bytes]) -> list[str]:
    """The codings in the values of all `Content-Encoding` headers, the last applied first, without `identity`.

    Raises EncodingNotSupported.
    """
    names = [name.strip().lower() for value in values for name in value.decode("latin-1").split(",")]
    codings = [name for name in reversed(names) if name not in ("", "identity")]
    unknown = [name for name in codings if name not in _DECOMPRESSORS]
    if unknown:
        listed = ", ".join(f'"{name[:40]}"' for name in reversed(unknown[-MAX_CODINGS:]))
        raise EncodingNotSupported(
            f"The body has the content encoding {listed}, which sparkd cannot read. Use one of {ACCEPTED}.",
            ACCEPTED,
        )
    if len(codings) > MAX_CODINGS:
        raise EncodingNotSupported(
            f"The body has {len(codings)} content encodings; at most {MAX_CODINGS} are read. Compress it once.",
            ACCEPTED,
        )
    return codings


class DecompressedBody:
    """A `receive` whose messages have the decompressed body, in pieces. Call it as an ASGI application calls `receive`.

    Raises InvalidRequest if the body is damaged or incomplete, BodyTooLarge, RequestTimeout and ClientDisconnected.
    """

    def __init__(self, receive: Receive, codings: list[str], limits: Limits) -> None:
        self._receive = receive
        self._limits = limits
        self._stages = [_Stage(name, limits) for name in codings]
        self._pieces: Iterator[bytes] = iter(())
        self._more = True

    async def __call__(self) -> Message:
        """The next piece. Other tasks run between two pieces."""
        while True:
            for piece in self._pieces:
                if piece:
                    return {"type": "http.request", "body": piece, "more_body": True}
                await asyncio.sleep(0)
            if not self._more:
                for stage in self._stages:
                    stage.check_complete()
                return {"type": "http.request", "body": b"", "more_body": False}
            message = await receive_body(self._receive, self._limits.stall)
            self._more = message["more_body"]
            self._pieces = self._run(message["body"], 0)
            await asyncio.sleep(0)

    def _run(self, data: bytes, at: int) -> Iterator[bytes]:
        """What the stages from `at` on make of a piece. Empty pieces are pauses."""
        if at == len(self._stages):
            yield data
            return
        for begin in range(0, len(data), _INPUT):
            for piece in self._stages[at].feed(data[begin : begin + _INPUT]):
                if piece:
                    yield from self._run(piece, at + 1)
                yield b""


class _Stage:
    """One of the codings of a body. Counts its output, too: it may be compressed itself, and then unpack to little."""

    def __init__(self, name: str, limits: Limits) -> None:
        self._name = name
        self._limits = limits
        self._size = 0
        self._decompressor = _DECOMPRESSORS[name]()

    def feed(self, data: bytes) -> Iterator[bytes]:
        pieces = self._decompressor.feed(data)
        while True:
            try:
                piece = next(pieces, None)
            except (zlib.error, ZstdError) as error:
                raise InvalidRequest(
                    f"The body is not valid {self._name}, its content encoding: {_reason(error)}."
                ) from None
            if piece is None:
                return
            self._size += len(piece)
            self._limits.check(self._size)
            yield piece

    def check_complete(self) -> None:
        if not self._decompressor.is_complete():
            raise InvalidRequest(f"The body is incomplete: its {self._name} data ends too early.")


def _reason(error: Exception) -> str:
    """A library's message without its own framing (`Error -3 while decompressing data: …`)."""
    return str(error).rpartition(": ")[2].rstrip(".") or "it is damaged"
