"""Selects the files that an engine needs: the weights once, in the best format, and the files that belong to them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final, Protocol, TypeVar

COMPANION_ENDINGS: Final = frozenset(
    {".json", ".jinja", ".py", ".model", ".tiktoken", ".txt", ".spm", ".vocab", ".yaml"}
)
"""Suffixes of tokenizers, configurations, chat templates, and the code that some models bring."""

WEIGHTS: Final = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
"""Formats of weights, the best first. If there are safetensors, the others contain the same weights again."""

IGNORED_FOLDERS: Final = frozenset(
    {"original", "onnx", "openvino", "metal", "coreml", "tflite", "flax", "runs", "logs", "figures", "assets"}
)
"""Folders with weights for other programs, and with images."""

NOT_WEIGHTS: Final = frozenset(
    {"training_args.bin", "optimizer.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"}
)


_PART: Final = re.compile(r"-\d{5}-of-\d{5}(?=\.gguf$)")
"""The part number in the name of a file, in the format of llama.cpp's `gguf-split`."""

PROJECTOR: Final = "mmproj"
"""Prefix of a file with which llama.cpp processes images, for any quantisation of the weights."""


class HasPath(Protocol):
    """A file of a repository."""

    @property
    def path(self) -> str:
        """Its path in the repository, with slashes."""
        ...


F = TypeVar("F", bound=HasPath)


def select_files(files: Sequence[F], *, consolidated: bool = False) -> tuple[F, ...]:
    """The needed files. `consolidated`: prefer Mistral's format if there are both."""
    relevant = [file for file in files if file.path.partition("/")[0] not in IGNORED_FOLDERS]
    weights = _weights([file for file in relevant if _ending(file) in WEIGHTS])
    if any(_is_consolidated(file) for file in weights) and any(_is_model(file) for file in weights):
        unwanted = _is_model if consolidated else _is_consolidated
        weights = [file for file in weights if not unwanted(file)]
    beside = [file for file in relevant if _ending(file) in COMPANION_ENDINGS]
    return tuple(weights + beside)


def list_quantisations(files: Sequence[HasPath]) -> list[str]:
    """The quantisations of GGUF weights, of which an engine uses one: sorted file names without part numbers."""
    paths = [file.path for file in files if _ending(file) == ".gguf"]
    return sorted(
        {_PART.sub("", path) for path in paths if not PurePosixPath(path).name.startswith(PROJECTOR)}
    )


def _weights(files: list[F]) -> list[F]:
    files = [file for file in files if PurePosixPath(file.path).name not in NOT_WEIGHTS]
    for ending in WEIGHTS:
        # Only at the top: sentence transformers have small .bin files in folders beside their safetensors.
        if any(_ending(file) == ending and "/" not in file.path for file in files):
            return [file for file in files if _ending(file) == ending]
    return files


def _ending(file: HasPath) -> str:
    return PurePosixPath(file.path).suffix


def _is_consolidated(file: HasPath) -> bool:
    return file.path.startswith("consolidated") and _ending(file) == ".safetensors"


def _is_model(file: HasPath) -> bool:
    return file.path.startswith("model") and _ending(file) == ".safetensors"
