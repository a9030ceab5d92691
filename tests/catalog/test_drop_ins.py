"""A drop-in is written atomically, and only if the catalogue is valid with it."""

import fcntl
import os
import threading
from pathlib import Path

import pytest

from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.drop_ins import write_drop_in
from sparkd.errors import CatalogueError
from tests.catalog.folder import VLLM, Folder

MODEL = {"runtime": "cpu", "source": "org/model"}


def test_a_drop_in_is_part_of_the_catalogue_from_then_on(folder: Folder) -> None:
    table = {"models": {"qwen2.5": {**MODEL, "memory": "4 GiB", "options": {"a": [1, "x"], "b": True}}}}
    written = write_drop_in(folder.catalogue, "mine", table)
    assert written.models == read_catalogue(folder.catalogue).models
    assert written.models["qwen2.5"].options == {"a": (1, "x"), "b": True}


def test_it_takes_the_place_of_the_one_of_that_name(folder: Folder) -> None:
    write_drop_in(folder.catalogue, "mine", {"models": {"a": MODEL}})
    assert list(write_drop_in(folder.catalogue, "mine", {"models": {"b": MODEL}}).models) == ["b"]
    assert folder.names("models.d") == ["mine.toml"]


def test_it_is_plain_toml_that_says_where_it_came_from(folder: Folder) -> None:
    write_drop_in(folder.catalogue, "mine", {"queue": {"max_wait": 3}})
    assert (folder.path / "models.d/mine.toml").read_text() == (
        "# Written by sparkd. You may edit or delete this file.\n\n[queue]\nmax_wait = 3\n"
    )


def test_one_that_would_break_the_catalogue_is_refused_and_the_old_one_stays(folder: Folder) -> None:
    folder.write("models.toml", f"[models.a]\n{VLLM}")
    write_drop_in(folder.catalogue, "mine", {"changes": {"a": {"pinned": True}}})
    with pytest.raises(CatalogueError) as refused:
        write_drop_in(folder.catalogue, "mine", {"models": {"a": MODEL, "b": {**MODEL, "pined": True}}})
    assert [problem.replace(f"{folder.path}/", "") for problem in refused.value.problems] == [
        "models.d/mine.toml: models.a: already defined in models.toml; to change its keys, use [changes.a]",
        'models.d/mine.toml: models.b.pined = true: unknown key; did you mean "pinned"?',
    ]
    assert folder.names("models.d") == ["mine.toml"]
    assert folder.read().models["a"].pinned


def test_a_drop_in_may_fix_a_broken_catalogue(folder: Folder) -> None:
    folder.write("models.d/mine.toml", "oops")
    assert folder.problems()
    write_drop_in(folder.catalogue, "mine", {})
    assert folder.problems() == []


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a b", ".hidden", "x" * 101])
def test_its_name_cannot_lead_to_another_folder(name: str, folder: Folder) -> None:
    with pytest.raises(CatalogueError, match="expected the name of a drop-in: letters, digits"):
        write_drop_in(folder.catalogue, name, {})
    assert folder.names() == ["models.toml", "venvs"]


@pytest.mark.parametrize("value", [None, object(), {1: 2}])
def test_what_toml_cannot_say_is_refused(value: object, folder: Folder) -> None:
    with pytest.raises(CatalogueError, match=r"models.d/mine.toml: cannot be written as TOML"):
        write_drop_in(folder.catalogue, "mine", {"server": {"listen": value}})


def test_a_rewritten_file_keeps_its_permissions(folder: Folder) -> None:
    write_drop_in(folder.catalogue, "mine", {})
    file = folder.path / "models.d/mine.toml"
    file.chmod(0o600)
    write_drop_in(folder.catalogue, "mine", {"queue": {"max_wait": 3}})
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_a_crash_left_half_written_is_neither_read_nor_in_the_way(folder: Folder) -> None:
    folder.write("models.d/.mine.toml.new", "[server")
    assert folder.problems() == []
    write_drop_in(folder.catalogue, "mine", {})
    assert folder.names("models.d") == ["mine.toml"]


def test_two_writers_take_turns_so_that_both_cannot_define_one_model(folder: Folder) -> None:
    outcomes: list[str] = []

    def write(name: str) -> None:
        try:
            write_drop_in(folder.catalogue, name, {"models": {"a": MODEL}})
            outcomes.append("written")
        except CatalogueError:
            outcomes.append("refused")

    (folder.path / "models.d").mkdir()
    directory = os.open(folder.path / "models.d", os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    writers = [threading.Thread(target=write, args=(name,)) for name in ("one", "two")]
    for writer in writers:
        writer.start()
    os.close(directory)
    for writer in writers:
        writer.join()
    assert sorted(outcomes) == ["refused", "written"]
    assert folder.problems() == []


def test_a_folder_that_cannot_be_written_is_an_error_of_the_system(folder: Folder) -> None:
    folder.write("models.d", "a file")
    with pytest.raises(OSError, match="File exists"):
        write_drop_in(Path(folder.catalogue), "mine", {})
