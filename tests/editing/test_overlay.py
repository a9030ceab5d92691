"""What a check finds is what a reload would find after the text was written."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkd.catalog.reading import read_catalogue
from sparkd.editing.files import digest_of, drop_in_path, list_files, names_of
from sparkd.editing.notes import find_notes
from sparkd.editing.overlay import locate, read_with_change
from sparkd.editing.problems import Problem
from sparkd.engines import find_engine_problems
from sparkd.errors import CatalogueError, InvalidRequest
from tests.catalog.folder import Folder

LINES = st.sampled_from(
    [
        "[changes.a]",
        "[changes.b]",
        '[models."qwen2.5"]',
        "[models.a]",
        "[defaults]",
        "[queue]",
        "[keys.children]",
        "[models.c.options]",
        'engine = "command"',
        'engine = "vlm"',
        'command = ["/bin/cat", "{socket}"]',
        'memory = "2 GiB"',
        'memory = "2G"',
        "memry = 1",
        "idle_timeout = -1",
        "max_wait = 60",
        "rate = 3",
        "port = 80",
        'status = "disabled"',
        'reason = "r"',
        "x = [",
        '"',
        "# comment",
        "",
    ]
)


def check(folder: Folder, name: str, data: bytes | None) -> list[Problem]:
    file = drop_in_path(folder.catalogue, name)
    try:
        read_with_change(folder.catalogue, file, data)
    except CatalogueError as error:
        return locate(folder.catalogue, error, file, data)
    return []


def reload_problems(folder: Folder) -> list[str]:
    try:
        return find_engine_problems(read_catalogue(folder.catalogue))
    except CatalogueError as error:
        return error.problems


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, max_size=8).map("\n".join))
def test_a_check_finds_what_a_reload_finds(folder: Folder, text: str) -> None:
    file = folder.path / "models.d" / "own.toml"
    file.unlink(missing_ok=True)
    found = check(folder, "models.d/own.toml", text.encode())
    folder.write("models.d/own.toml", text)
    assert [problem.message for problem in found] == [
        line.split(": ", 1)[1] for line in reload_problems(folder)
    ]
    for problem in found:
        assert problem.file in ("models.toml", "models.d/own.toml")
        assert problem.line is None or problem.line <= text.count("\n") + 4


def test_a_deletion_is_checked_too(folder: Folder) -> None:
    folder.write("models.d/1.toml", '[models.b]\nengine = "command"\ncommand = ["x", "{port}"]\n')
    folder.write("models.d/2.toml", "[changes.b]\npinned = true\n")
    [problem] = check(folder, "models.d/1.toml", None)
    assert (problem.file, problem.line, problem.key) == ("models.d/2.toml", 1, "changes.b")
    assert check(folder, "models.d/2.toml", None) == []


def test_a_problem_names_file_line_column_and_the_nearest_name(folder: Folder) -> None:
    [problem] = check(folder, "models.d/own.toml", b"# \xc3\xa4\n[changes.a]\n  memry = 1\n")
    assert problem == Problem(
        file="models.d/own.toml",
        message='changes.a.memry = 1: unknown key; did you mean "memory"?',
        key="changes.a.memry",
        line=3,
        column=3,
        suggestion="memory",
    )
    assert problem.describe().startswith("models.d/own.toml:3:3: changes.a.memry")


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [(b"a = ", 1, 5), (b"[a]\nb = 'x", 2, 7), (b"\n\n\xff", 3, 1), (b"a = 1\r\nb == 2", 2, 4)],
)
def test_a_text_that_is_not_toml_has_a_place(folder: Folder, text: bytes, line: int, column: int) -> None:
    [problem] = check(folder, "models.d/own.toml", text)
    assert (problem.line, problem.column) == (line, column)


def test_a_text_that_is_too_large_is_rejected(folder: Folder) -> None:
    with pytest.raises(InvalidRequest, match="Split it"):
        check(folder, "models.d/own.toml", b"#" * 5_000_000)


@pytest.mark.parametrize(
    "name",
    ["own.toml", "models.toml", "models.d/../own.toml", "models.d/.own.toml", "models.d/a/b.toml", "/etc/a.toml",
     "models.d/own.txt", "models.d/a..toml", "models.d/\n.toml", f"models.d/{'a' * 120}.toml", "models.d/ä.toml"],
)  # fmt: skip
def test_only_plain_names_of_drop_ins_may_be_edited(folder: Folder, name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be edited"):
        drop_in_path(folder.catalogue, name)


def test_files_are_described(folder: Folder) -> None:
    text = "[changes.a]\npinned = true\n[queue]\nmax_wait = 3\n"
    folder.write("models.d/own.toml", text)
    folder.write("models.d/broken.toml", "x = [")
    (folder.path / "models.d" / "link.toml").symlink_to(folder.path / "models.d" / "own.toml")
    files = {file.name: file for file in list_files(folder.catalogue)}
    assert list(files) == list(names_of(folder.catalogue).values())
    own = files["models.d/own.toml"]
    assert (own.editable, own.digest) == (True, digest_of(text.encode()))
    assert (own.defines, own.settings) == ({"changes": ("a",)}, ("queue",))
    assert not files["models.toml"].editable
    assert files["models.d/broken.toml"].editable  # that is how it is repaired
    assert "link to" in files["models.d/link.toml"].reason


def test_notes_name_what_is_odd(folder: Folder) -> None:
    folder.write("models.d/own.toml", "[families.qwen]\nvision = true\n")
    assert list(find_notes(read_catalogue(folder.catalogue))) == ['family "qwen" has no model']
