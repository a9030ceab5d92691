"""Whether an engine failed because it read a damaged cache of compiled code.

A power cut leaves files that are empty, cut off, or filled with zeros. vLLM recovers from some of them (its compiled
functions, AOT autograd entries, model information), and fails at every start with others.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from msgspec import Struct

from sparkd.engines.causes import EXCEPTION, LOGGER_PREFIX
from sparkd.engines.engine import Cause

COMPILE_CACHES: Final = (
    "vllm/torch_compile_cache",
    "torchinductor",
    "triton",
    ".triton/cache",
    ".cache/flashinfer/[0-9]*",
    "vllm/deep_gemm",
    "torch_extensions",
    "huggingface_modules",
)
"""The compile caches below the cache folder of a build, as glob patterns: torch's (through vLLM, and by itself),
Triton's, FlashInfer's kernels by version or GPU, DeepGEMM's, extensions, and copies of Python code from models. Not
FlashInfer's `cubins`: they are downloaded and verified, and a machine without a network could not get them again."""

_IN_CACHE: Final = re.compile(
    "/(?:{})/".format(
        "|".join(
            re.escape(glob).replace(r"\[0\-9\]", "[0-9]").replace(r"\*", "[^/]*") for glob in COMPILE_CACHES
        )
    )
)
"""The path of a file in a compile cache, from the end of the cache folder's path on."""

_UNNAMED_FILE: Final = re.compile(
    r"leading to a corrupted compilation artifact"
    r"|Bytes object is corrupted, checksum does not match|Input data is too short to contain checksum"
    r"|module '(?:torch\._inductor\.runtime\.compile_tasks|transformers_modules)\.[\w.]+' has no attribute"
    r"|Triton Error \[CUDA\]: (?:device kernel image is invalid|no kernel image is available)"
)
"""Messages of exceptions that come from a damaged cache, although they name no file."""

_FAILED_OTHERWISE: Final = re.compile(
    r"CppCompileError|C\+\+ compile error|InvalidCxxCompiler|CompilationError|CompileTimeAssertion|PTXASError"
    r"|CalledProcessError|OutOfResources|PermissionError|Read-only file system|Disk quota exceeded"
)
"""Failures to compile or to write. They may name files in a cache, but a new cache would not help."""

_UNREADABLE_OBJECT: Final = re.compile(
    r"\.(?:o|so): (?:file (?:format )?not recognized|file too short|file truncated)"
)
"""A linker's message about an object file that an earlier build has left."""

_FRAME: Final = re.compile(r'^File "(?P<file>[^"]+)", line \d+(?:, in (?P<function>\S+))?')
"""A frame of a traceback. The place of a syntax error has no function."""

_STANDARD_LIBRARY: Final = re.compile(r"^<frozen |/lib/python3\.\d+/(?!(?:site|dist)-packages/)")

_UNEXPLAINED: Final = ("unknown", "engine_died", "repeated_error")
"""Kinds of causes that a damaged cache may have. The other kinds have an explanation, such as a lack of memory."""


class _Reader(Struct, frozen=True):
    """Functions that read a cache: a file of a package, and a pattern for their names."""

    file: str
    function: str


_READERS: Final = (
    _Reader("torch/_inductor/codecache.py", r"_?load\w*|_lookup\w*|future|result"),
    _Reader("torch/_inductor/runtime/compile_tasks.py", r"_reload\w*"),
    _Reader("torch/_inductor/standalone_compile.py", r"load"),
    _Reader("torch/_inductor/output_code.py", r"post_compile|prepare_triton\w*"),
    _Reader("vllm/compilation/backends.py", r"initialize_cache"),
    _Reader("vllm/compilation/compiler_interface.py", r"load"),
    _Reader("triton/compiler/compiler.py", r"__init__"),
    _Reader("triton/runtime/build.py", r"_load\w*"),
    _Reader("flashinfer/jit/core.py", r"load"),
)
"""An exception that these raise comes from what they have read."""


def may_have_broken_cache(cause: Cause) -> bool:
    """Return whether a failed start may have failed because of a damaged cache: it has no other explanation."""
    return cause.kind in _UNEXPLAINED


def find_cache_failure(lines: Sequence[str], folders: Collection[str]) -> str | None:
    """Return the message that shows that an engine failed to read a compile cache. None if no line shows it.

    `lines` are the last lines of its log; `folders` are the absolute paths of the caches of its runtime's build.
    """
    messages = [LOGGER_PREFIX.sub("", line, count=1).strip() for line in lines]
    for index in range(len(messages) - 1, -1, -1):
        if _shows_failure(messages, index, folders):
            return messages[index]
    return None


def _shows_failure(messages: Sequence[str], index: int, folders: Collection[str]) -> bool:
    message = messages[index]
    is_in_cache = _is_in_cache(message, folders)
    if is_in_cache and _UNREADABLE_OBJECT.search(message):
        return True
    if not EXCEPTION.match(message) or _FAILED_OTHERWISE.search(message):
        return False
    return (
        is_in_cache
        or _UNNAMED_FILE.search(message) is not None
        or _was_raised_by_reader(messages, index, folders)
    )


def _is_in_cache(text: str, folders: Collection[str]) -> bool:
    """Return whether the text has the path of a file in a compile cache."""
    starts = ((text.find(f"{folder}/"), len(folder)) for folder in folders)
    return any(start >= 0 and _IN_CACHE.match(text, start + length) for start, length in starts)


def _was_raised_by_reader(messages: Sequence[str], index: int, folders: Collection[str]) -> bool:
    """Return whether the exception at `index` was raised by a function that reads a cache, or while a cached file was
    parsed."""
    for file, function in _frames_above(messages, index):
        if not function:
            return _is_in_cache(file, folders)
        if not _STANDARD_LIBRARY.search(file):
            return any(
                file.endswith(f"/{reader.file}") and re.fullmatch(reader.function, function)
                for reader in _READERS
            )
    return False


def _frames_above(messages: Sequence[str], index: int) -> Iterator[tuple[str, str]]:
    """Yield file and function of the frames of the traceback that ends at `index`, the innermost first."""
    for message in reversed(messages[:index]):
        if message.startswith("Traceback (most recent call last)") or EXCEPTION.match(message):
            return
        if frame := _FRAME.match(message):
            yield frame["file"], frame["function"] or ""
