"""Which variables of a model's environment must equal the launcher's, because they were read at the import.

A library may read a variable once, when it is imported. For a forked engine that has happened in the launcher, with the
launcher's value. The launcher records each name that Python code reads; names that C code reads are known by prefix.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

PREFIXES_READ_BY_C: Final = (
    *("LD_", "MALLOC_", "GLIBC_", "LC_", "LANG", "TZ"),  # the loader and the C library, ld.so(8), mallopt(3)
    "PYTHON",  # the interpreter
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GOTO_", "BLIS_", "ARMPL_", "NVPL_"),  # thread pools
    *(
        "TORCH_",
        "PYTORCH_",
        "ATEN_",
        "C10_",
        "CUBLAS_",
        "CUDNN_",
    ),  # static initialisers of PyTorch's libraries
    "TCMALLOC_",
)
"""Prefixes of variables that C code may read when a library is loaded. Python cannot see that. PyTorch reads
PYTORCH_CUDA_ALLOC_CONF in a static initialiser (c10/cuda/CUDACachingAllocator.cpp)."""

RESET_BY_THE_LAUNCHER: Final = frozenset({"TMPDIR", "TEMP", "TMP"})
"""Read at the import by `tempfile`, whose result the launcher resets in each engine. Libraries that copied the result
use the launcher's TMPDIR, which outlives it."""


def find_difference(
    launcher: Mapping[str, str], model: Mapping[str, str], variables: Collection[str]
) -> str | None:
    """Return the name of a variable that was read at the import and that the model sets differently.

    `launcher` and `model` are complete environments, `variables` the names that Python code has read. None if the
    launcher can serve the model.
    """
    changed = (name for name in launcher.keys() | model.keys() if launcher.get(name) != model.get(name))
    fixed = (
        name
        for name in changed
        if name not in RESET_BY_THE_LAUNCHER and (name in variables or name.startswith(PREFIXES_READ_BY_C))
    )
    return min(fixed, default=None)
