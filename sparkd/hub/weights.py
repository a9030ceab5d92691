"""Checks whether weights are complete, from their index and their headers."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

ENDING: Final = ".safetensors"
INDEX_ENDING: Final = ".safetensors.index.json"
OTHER_ENDINGS: Final = (".bin", ".pt", ".pth", ".gguf", ".npz")
"""Other formats, of which only the existence can be checked."""

LONGEST_HEADER: Final = 100_000_000
"""Bytes; the limit of the format. No index is longer, because it contains less."""

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""The errors of msgspec for foreign files: other JSON, invalid JSON, invalid UTF-8, endless nesting."""


class _Tensor(msgspec.Struct):
    data_offsets: tuple[int, int] | None = None  # None in `__metadata__`, which is a table of strings


class _Index(msgspec.Struct):
    weight_map: dict[str, str]


_tensors = msgspec.json.Decoder(dict[str, _Tensor])
_index = msgspec.json.Decoder(_Index)


def read_declared_size(path: Path) -> int | None:
    """The size of a safetensors file according to its header, in bytes. None if the header is incomplete.

    Format: https://huggingface.co/docs/safetensors (8 bytes: length of the header; the header, JSON; the tensors).
    Raises OSError.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if 2 <= length <= LONGEST_HEADER else b""
    if len(header) != length:
        return None
    try:
        tensors = _tensors.decode(header)
    except UNREADABLE:
        return None
    ends = (tensor.data_offsets[1] for tensor in tensors.values() if tensor.data_offsets)
    return 8 + length + max(ends, default=0)


def is_complete(path: Path) -> bool:
    """Whether a safetensors file has the size in its header."""
    try:
        status = path.stat()
        # Opening a pipe would block.
        return stat.S_ISREG(status.st_mode) and status.st_size == read_declared_size(path)
    except OSError:
        return False


def find_incomplete(folder: Path) -> list[str]:
    """The names of weight files in `folder` that an index lists and that are missing or truncated.

    Only "weights" if there are no weights at all. Raises OSError if the folder cannot be read.
    """
    names = sorted(path.name for path in folder.iterdir())
    wanted = {name for name in names if name.endswith(ENDING)}
    for name in names:
        if name.endswith(INDEX_ENDING):
            wanted |= set(_read_index(folder / name))
    if not wanted:
        return [] if any(name.endswith(OTHER_ENDINGS) for name in names) else ["weights"]
    return [name for name in sorted(wanted) if not is_complete(folder / name)]


def _read_index(index: Path) -> Iterator[str]:
    with suppress(OSError):
        with index.open("rb") as file:
            text = file.read(LONGEST_HEADER + 1)
        try:
            yield from _index.decode(text).weight_map.values()
        except UNREADABLE:
            yield index.name
