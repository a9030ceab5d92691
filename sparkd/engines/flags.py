"""A model's `options` as command line flags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import floor
from typing import Final

from sparkd.catalog.definitions import Scalar
from sparkd.catalog.quantities import GIB

ENGINE_OVERHEAD: Final = 6 * GIB
"""What an engine uses on a GB10 beyond its share: 5.4 to 6.7 GiB were measured for vLLM. Small models use less."""

MIN_FRACTION: Final = 0.01
"""Engines do not accept a share of 0."""

Options = Mapping[str, Scalar | tuple[Scalar, ...]]


def format_flags(options: Options) -> Iterator[str]:
    """Yield the arguments: true becomes the flag, false `--no-` and the flag, a list the flag and its values.

    Names and strings are passed on unchanged, JSON included. An empty list yields nothing.
    """
    for name, value in options.items():
        if value is True:
            yield f"--{name}"
        elif value is False:
            yield f"--no-{name}"
        elif isinstance(value, tuple | list):
            yield from (f"--{name}", *map(_format_value, value)) if value else ()
        elif _format_value(value).startswith("-"):
            yield f"--{name}={_format_value(value)}"  # otherwise it would be parsed as a flag
        else:
            yield from (f"--{name}", _format_value(value))


def normalize_flag(name: str) -> str:
    """Return the flag's name as its program uses it: `max_model_len` becomes `max-model-len`."""
    return name.strip().lstrip("-").replace("_", "-")


def find_option(options: Options, name: str) -> Scalar | tuple[Scalar, ...] | None:
    """Return the value of one option, with any spelling of its name; None if it is not set."""
    return next((value for key, value in options.items() if normalize_flag(key) == name), None)


def find_option_key(options: Options, flag: str) -> str | None:
    """Return the option key that a command line flag comes from: `--no-x` and `--x.a` also come from `x`."""
    name = flag.lstrip("-")
    named = {normalize_flag(key).partition(".")[0]: key for key in options}
    return named.get(name) or named.get(name.removeprefix("no-"))


def memory_fraction(memory: int, total: int) -> str:
    """Return an engine's share of `total` for a reservation of `memory` (both in bytes)."""
    fraction = (memory - min(ENGINE_OVERHEAD, memory // 5)) / total
    return f"{max(MIN_FRACTION, floor(fraction * 1000) / 1000):g}"


def _format_value(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
