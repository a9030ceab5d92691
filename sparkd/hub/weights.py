"""Whether weights are whole, from what the files say of themselves: their index and their headers."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

ENDING: Final = ".safetensors"
INDEX_ENDING: Final = ".safetensors.index.json"
OTHERS: Final = (".bin", ".pt", ".pth", ".gguf", ".npz")
"""Other formats: there or not, more cannot be told."""

LONGEST_HEADER: Final = 100_000_000
"""Bytes; the format's own limit. No index is longer, as it says less."""

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for what somebody else wrote: other JSON or none, no UTF-8, brackets without end."""


class _Tensor(msgspec.Struct):
    data_offsets: tuple[int, int] | None = None  # None in `__metadata__`, which is a table of texts


class _Index(msgspec.Struct):
    weight_map: dict[str, str]


_tensors = msgspec.json.Decoder(dict[str, _Tensor])
_index = msgspec.json.Decoder(_Index)


def length_told(path: Path) -> int | None:
    """Bytes a safetensors file must have by its own header, None where the header itself is not whole.

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


def is_whole(path: Path) -> bool:
    """Whether a safetensors file is as long as its header says."""
    try:
        status = path.stat()
        # A pipe of that name would be waited for.
        return stat.S_ISREG(status.st_mode) and status.st_size == length_told(path)
    except OSError:
        return False


def incomplete(folder: Path) -> list[str]:
    """Names of weight files in `folder` that an index promises and that are not there, or that are cut short.

    "weights" alone where there are none at all. Raises OSError where the folder cannot be read.
    """
    names = sorted(path.name for path in folder.iterdir())
    wanted = {name for name in names if name.endswith(ENDING)}
    for name in names:
        if name.endswith(INDEX_ENDING):
            wanted |= set(_promised(folder / name))
    if not wanted:
        return [] if any(name.endswith(OTHERS) for name in names) else ["weights"]
    return [name for name in sorted(wanted) if not is_whole(folder / name)]


def _promised(index: Path) -> Iterator[str]:
    with suppress(OSError):
        with index.open("rb") as file:
            text = file.read(LONGEST_HEADER + 1)
        try:
            yield from _index.decode(text).weight_map.values()
        except UNREADABLE:
            yield index.name
