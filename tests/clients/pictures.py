"""A picture, for clients that attach one."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path


def write_picture(path: Path, width: int = 32, height: int = 32) -> Path:
    """Write a red PNG."""
    rows = (b"\0" + b"\xff\0\0" * width) * height
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    encoded = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(encoded))
    return path
