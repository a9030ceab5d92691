"""The tables in docs/runtimes.md: `python -m sparkd.runtimes.reference` rewrites them.

They come from `venvs/tracks.toml` and the definitions of the runtimes. The text above MARK
and below END in that file is written by hand and left unchanged.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import tomli_w
from msgspec import Meta, Struct

from sparkd.catalog.generated import replace_generated
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.runtime import Runtime
from sparkd.catalog.sizes import format_size

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "runtimes.md"
VENVS = ROOT / "venvs"
MARK = "<!-- From here on generated: python -m sparkd.runtimes.reference -->\n"

Sentence = Annotated[str, Meta(min_length=10, pattern=r"\.$")]


class Track(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The runtime that replaces a former container image, and the reason."""

    track: str
    runtime: str
    reason: Sentence


class Mod(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A patch of such an image: whether sparkd still applies it, and the reason."""

    mod: str
    carried: bool
    reason: Sentence


class TracksFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`venvs/tracks.toml`."""

    tracks: tuple[Track, ...]
    mods: tuple[Mod, ...]


def read_tracks_file() -> TracksFile:
    """What became of images and patches. Raises msgspec.ValidationError with the position of the error."""
    return msgspec.toml.decode((VENVS / "tracks.toml").read_bytes(), type=TracksFile)


def shipped_runtimes() -> list[Runtime]:
    """The runtimes that come with sparkd, by name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "models.toml"
        path.write_text(tomli_w.dumps({"paths": {"venvs": str(VENVS)}}))
        return list(read_catalogue(path).runtimes.values())


def render_tables() -> str:
    """All tables, in Markdown."""
    return "\n".join([*_render_runtimes(), *_render_tracks(), *_render_mods(), *_render_variables()])


def _render_runtimes() -> Iterator[str]:
    yield "\n## The runtimes\n"
    rows = []
    for runtime in shipped_runtimes():
        pins = ", ".join(f"{name} {version}" for name, version in runtime.versions.items())
        steps = ", ".join(f"`{step.step}`" for step in runtime.steps)
        rows.append(
            (f"`{runtime.name}`", runtime.description, pins, steps, runtime.python, format_size(runtime.disk))
        )
    yield from _render_table(
        ("runtime", "description", "pinned", "built from source", "Python", "disk for a build"), rows
    )


def _render_tracks() -> Iterator[str]:
    yield "\n## Which runtime replaces which image\n"
    tracks = sorted(read_tracks_file().tracks, key=lambda one: one.track)
    rows = [(f"`{one.track}`", f"`{one.runtime}`", one.reason) for one in tracks]
    yield from _render_table(("image", "runtime", "reason"), rows)


def _render_mods() -> Iterator[str]:
    yield "\n## What became of the patches\n"
    rows = [
        (f"`{one.mod}`", "kept" if one.carried else "dropped", one.reason) for one in read_tracks_file().mods
    ]
    yield from _render_table(("patch", "now", "reason"), rows)


def _render_variables() -> Iterator[str]:
    yield "\n## Environment variables\n"
    rows = []
    for runtime in shipped_runtimes():
        rows += [
            (f"`{runtime.name}`", f"`{name}={value}`", "") for name, value in runtime.environment.items()
        ]
        on_arm = runtime.environment_aarch64.items()
        rows += [(f"`{runtime.name}`", f"`{name}={value}`", "aarch64 only") for name, value in on_arm]
    yield from _render_table(("runtime", "variable", "note"), rows)


def _render_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def render_page() -> str:
    """docs/runtimes.md with the tables of the current definitions."""
    return replace_generated(FILE.read_text(), MARK, render_tables() + "\n")


if __name__ == "__main__":
    FILE.write_text(render_page())
