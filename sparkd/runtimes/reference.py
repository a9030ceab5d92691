"""The tables in docs/runtimes.md: `python -m sparkd.runtimes.reference` writes them anew.

They come from `venvs/tracks.toml` and the definitions of the runtimes. What stands above MARK in that file is written
by hand and left alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from sparkd.catalog.definitions import Runtime
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.sizes import size_text

HOUSE = Path(__file__).parents[2]
FILE = HOUSE / "docs" / "runtimes.md"
VENVS = HOUSE / "venvs"
MARK = "<!-- From here on generated: python -m sparkd.runtimes.reference -->\n"

Sentence = Annotated[str, Meta(min_length=10, pattern=r"\.$")]


class Track(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What serves the models of a former container image, and why."""

    track: str
    runtime: str
    reason: Sentence


class Mod(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A patch to such an image: whether sparkd carries it on, and why."""

    mod: str
    carried: bool
    reason: Sentence


class Past(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`venvs/tracks.toml`."""

    tracks: tuple[Track, ...]
    mods: tuple[Mod, ...]


def past() -> Past:
    """What has become of images and patches. Raises msgspec.ValidationError, naming the place."""
    return msgspec.toml.decode((VENVS / "tracks.toml").read_bytes(), type=Past)


def runtimes() -> list[Runtime]:
    """The runtimes that come with sparkd, by name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "models.toml"
        path.write_text(f'[paths]\nvenvs = "{VENVS}"\n')
        return list(read_catalogue(path).runtimes.values())


def reference() -> str:
    """All tables, in Markdown."""
    return "\n".join([*_runtimes(), *_tracks(), *_mods(), *_variables()])


def _runtimes() -> Iterator[str]:
    yield "\n## The runtimes\n"
    rows = []
    for runtime in runtimes():
        pins = ", ".join(f"{name} {version}" for name, version in runtime.versions.items())
        steps = ", ".join(f"`{step.step}`" for step in runtime.steps)
        rows.append(
            (f"`{runtime.name}`", runtime.description, pins, steps, runtime.python, size_text(runtime.disk))
        )
    yield from _table(
        ("runtime", "what it is", "pinned", "built from source", "Python", "disk for a build"), rows
    )


def _tracks() -> Iterator[str]:
    yield "\n## What serves the former images\n"
    tracks = sorted(past().tracks, key=lambda one: one.track)
    rows = [(f"`{one.track}`", f"`{one.runtime}`", one.reason) for one in tracks]
    yield from _table(("image", "runtime", "why"), rows)


def _mods() -> Iterator[str]:
    yield "\n## What has become of the patches\n"
    rows = [(f"`{one.mod}`", "carried on" if one.carried else "dropped", one.reason) for one in past().mods]
    yield from _table(("patch", "", "why"), rows)


def _variables() -> Iterator[str]:
    yield "\n## Environment variables\n"
    rows = []
    for runtime in runtimes():
        rows += [
            (f"`{runtime.name}`", f"`{name}={value}`", "") for name, value in runtime.environment.items()
        ]
        on_arm = runtime.environment_aarch64.items()
        rows += [(f"`{runtime.name}`", f"`{name}={value}`", "aarch64 only") for name, value in on_arm]
    yield from _table(("runtime", "variable", ""), rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def written() -> str:
    """docs/runtimes.md as it has to be: its own words, then the tables of today's definitions."""
    by_hand, mark, _ = FILE.read_text().partition(MARK)
    return by_hand + mark + reference() + "\n"


if __name__ == "__main__":
    FILE.write_text(written())
