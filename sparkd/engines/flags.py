"""A model's `options` as command line flags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import floor
from typing import Final

from sparkd.catalog.definitions import Scalar
from sparkd.catalog.quantities import GIB

OVERHEAD: Final = 6 * GIB
"""What an engine takes on a GB10 beyond the share it is told: 5.4 to 6.7 GiB were measured for vLLM. Small models
take less."""

SMALLEST_SHARE: Final = 0.01
"""Engines take no share of nothing."""

Options = Mapping[str, Scalar | tuple[Scalar, ...]]


def flags(options: Options) -> Iterator[str]:
    """Yield the arguments: true gives the bare flag, false `--no-` and the flag, a list its values after the flag.

    Names and text are passed on as they are written, JSON included. An empty list gives nothing.
    """
    for name, value in options.items():
        if value is True:
            yield f"--{name}"
        elif value is False:
            yield f"--no-{name}"
        elif isinstance(value, tuple | list):
            yield from (f"--{name}", *map(_text, value)) if value else ()
        elif _text(value).startswith("-"):
            yield f"--{name}={_text(value)}"  # else it would be taken for a flag itself
        else:
            yield from (f"--{name}", _text(value))


def spelled(name: str) -> str:
    """Return the flag's name as its program understands it: `max_model_len` is `max-model-len`."""
    return name.strip().lstrip("-").replace("_", "-")


def option(options: Options, name: str) -> Scalar | tuple[Scalar, ...] | None:
    """Return the value of one option however its name is spelled, None if it is not given."""
    return next((value for key, value in options.items() if spelled(key) == name), None)


def option_of(options: Options, flag: str) -> str | None:
    """Return the key of the option that a flag of the command line comes from: `--no-x` and `--x.a` from `x` too."""
    name = flag.lstrip("-")
    named = {spelled(key).partition(".")[0]: key for key in options}
    return named.get(name) or named.get(name.removeprefix("no-"))


def share(memory: int, total: int) -> str:
    """Return what an engine is told it may take, as a share of `total`, for `memory` (both in bytes) in the books."""
    part = (memory - min(OVERHEAD, memory // 5)) / total
    return f"{max(SMALLEST_SHARE, floor(part * 1000) / 1000):g}"


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
