"""Log files of earlier runs: the last lines, also across the older half, and what the list says."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkd.processes.log_archive import PIECE, describe_log, read_log
from sparkd.processes.log_file import rotated_path
from sparkd.processes.run_directories import RunDirectories

NAME = "qwen.20261128T192501123.7.log"


def last(path: Path, lines: int) -> list[str]:
    return b"".join(read_log(path, lines)).decode().splitlines()


@pytest.mark.parametrize("wanted", [0, 1, 2, 4, 5, 6, 100])
def test_the_last_lines_are_read_across_both_files(tmp_path: Path, wanted: int) -> None:
    path = tmp_path / NAME
    rotated_path(path).write_text("1\n2\n3\n")
    path.write_text("4\n5\n")
    assert last(path, wanted) == ["1", "2", "3", "4", "5"][max(0, 5 - wanted) :]


@pytest.mark.parametrize("wanted", [1, 3000, 59_999, 60_000, 60_001])
def test_a_long_file_is_read_in_pieces(tmp_path: Path, wanted: int) -> None:
    path = tmp_path / NAME
    lines = [f"line {number}" for number in range(60_000)]
    path.write_text("".join(f"{line}\n" for line in lines))
    assert path.stat().st_size > 2 * PIECE
    assert last(path, wanted) == lines[-wanted:]
    assert all(len(piece) <= PIECE for piece in read_log(path, wanted))


def test_a_line_that_is_longer_than_a_piece(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text("first\n" + "x" * (3 * PIECE) + "\nlast\n")
    assert [len(line) for line in last(path, 2)] == [3 * PIECE, 4]


def test_a_file_that_does_not_exist_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        last(tmp_path / NAME, 1)
    assert describe_log(tmp_path / NAME, current=False) is None


def test_the_list_has_start_and_size(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text("12345\n")
    rotated_path(path).write_text("123\n")
    info = describe_log(path, current=True)
    assert info is not None
    assert (info.file, info.size, info.current) == (NAME, 10, True)
    assert info.started == 1795893901.123


def test_log_files_are_found_by_the_id_of_their_model_only(tmp_path: Path) -> None:
    folders = RunDirectories(tmp_path / "run", tmp_path / "logs")
    assert folders.log_paths("qwen") == []
    paths = []
    for run in range(3):
        paths.append(folders.new_log_path("qwen", run))
        paths[-1].write_text("x\n")
    (tmp_path / "logs" / "qwen.txt").write_text("")
    folders.new_log_path("qwen.5", 1).write_text("")
    assert folders.log_paths("qwen") == sorted(paths)
