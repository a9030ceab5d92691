"""A catalogue read in a process of its own is the same as one that is read here."""

from __future__ import annotations

import asyncio
import gc
import os
import weakref
from pathlib import Path

import psutil
import pytest

from sparkd.catalog.reading import read_catalogue
from sparkd.editing import apart
from sparkd.editing.apart import read_apart, read_apart_now
from sparkd.errors import CatalogueError
from tests.usage.recorded import wait_for

TEXT = """\
[models.{name}]
engine = "command"
command = ["serve", "{{port}}"]
memory = "1 GiB"
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "models.toml"
    path.write_text("\n".join(TEXT.format(name=name) for name in ("a", "b", "c")))
    return path


def test_what_has_changed_is_new_and_the_rest_is_what_was_known(catalogue: Path) -> None:
    base, drop_in = read_catalogue(catalogue), catalogue.parent / "models.d" / "own.toml"
    change = '[changes.b]\npinned = true\n[choices]\nbest = ["b", "a"]\n' + TEXT.format(name="new")
    read = asyncio.run(read_apart(base, {drop_in: change.encode()}))
    assert list(read.models) == ["a", "b", "c", "new"]
    assert read.models["a"] is base.models["a"]
    assert read.models["b"].pinned
    drop_in.parent.mkdir()
    drop_in.write_text(change)
    here = read_catalogue(catalogue)
    assert dict(read.models) == dict(here.models)
    assert read.settings == here.settings
    assert read.locate_key(read.models["b"], "pinned") == here.locate_key(here.models["b"], "pinned")
    assert [model.id for model in read.choices["best"].models] == ["b", "a"]


def test_problems_are_those_of_the_reader(catalogue: Path) -> None:
    base, drop_in = read_catalogue(catalogue), catalogue.parent / "models.d" / "own.toml"
    with pytest.raises(CatalogueError, match="pined"):
        read_apart_now(base, {drop_in: b"[changes.b]\npined = true\n"})


def test_a_cancelled_read_ends_its_process(catalogue: Path) -> None:
    base, before = read_catalogue(catalogue), set(psutil.Process().children())

    def new_children() -> set[psutil.Process]:
        return set(psutil.Process().children()) - before

    async def cancel_while_it_reads() -> None:
        task = asyncio.create_task(read_apart(base))
        await asyncio.to_thread(wait_for, new_children)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    (catalogue.parent / "models.d").mkdir()
    os.mkfifo(catalogue.parent / "models.d" / "never.toml")  # a read of it does not end
    asyncio.run(cancel_while_it_reads())
    wait_for(lambda: not new_children())


def test_an_earlier_catalogue_is_freed_without_the_collector(catalogue: Path) -> None:
    base = read_catalogue(catalogue)
    base.resolve("A")
    read_apart_now(base, {})
    reference = weakref.ref(base)
    gc.disable()
    try:
        del base
        assert reference() is None
    finally:
        gc.enable()
    assert not apart._digests
