"""`sparkctl edit` and `sparkctl undo`, with a daemon and without one."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import clean_environment, command, sparkctl
from tests.e2e.conftest import Build, build, folder
from tests.e2e.sparkd_process import engine

__all__ = ["build", "folder"]

MODEL = '[models.a]\nengine = "command"\ncommand = ["/bin/cat", "{socket}"]\n'
GOOD = "[changes.a]\npinned = true\n"


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "models.toml"
    path.write_text(MODEL)
    return path


def edit(catalogue: Path, text: str, *options: str) -> tuple[int, str]:
    result = sparkctl("edit", "own", "--from", "-", "--catalogue", catalogue, *options, stdin=text)
    return result.code, result.out + result.err


def test_without_a_daemon_the_file_is_written_and_undone(catalogue: Path) -> None:
    assert edit(catalogue, GOOD, "--yes") == (
        0,
        "Wrote models.d/own.toml: sparkd reads it when it starts. `sparkctl undo` restores the old text.\n",
    )
    own = catalogue.parent / "models.d" / "own.toml"
    assert own.read_text() == GOOD
    listed = sparkctl("edit", "--catalogue", catalogue).out.splitlines()
    assert listed == ["models.toml  1 models  (read only)", "models.d/own.toml  1 changes"]
    assert "created models.d/own.toml  +2 -0" in sparkctl("undo", "--list", "--catalogue", catalogue).out
    assert sparkctl("undo", "--catalogue", catalogue).code == 0
    assert not own.exists()
    assert sparkctl("undo", "--catalogue", catalogue).code == 4
    assert sparkctl("undo", "1", "--catalogue", catalogue).code == 0
    assert sparkctl("edit", "own", "--delete", "--yes", "--catalogue", catalogue).code == 0
    assert not own.exists()


def test_problems_are_printed_with_their_places(catalogue: Path) -> None:
    code, output = edit(catalogue, "[changes.a]\npined = 1\n", "--yes")
    assert code == 1
    assert 'models.d/own.toml:2:1: changes.a.pined = 1: unknown key; did you mean "pinned"?' in output
    code, output = edit(catalogue, "[changes.a]\npined = 1\n", "--yes", "--json")
    assert json.loads(output)["problems"][0]["suggestion"] == "pinned"


def test_without_a_terminal_it_asks_for_yes(catalogue: Path) -> None:
    code, output = edit(catalogue, GOOD)
    assert code == 1
    assert "--yes" in output


@pytest.mark.parametrize("name", ["../x", "models.toml", "a/b", ".x"])
def test_only_drop_ins_can_be_edited(catalogue: Path, name: str) -> None:
    result = sparkctl("edit", name, "--from", "-", "--yes", "--catalogue", catalogue, stdin="")
    assert result.code == (0 if name == "models.toml" else 1)  # that is models.d/models.toml


def test_an_editor_on_a_terminal_is_run_again_after_a_mistake(catalogue: Path) -> None:
    editor = catalogue.parent / "editor"
    editor.write_text(
        '#!/bin/sh\nif grep -q pined "$1"; then sed -i s/pined/pinned/ "$1"\n'
        "else sed -i 's/# pinned = false/pined = true/' \"$1\"; fi\n"
    )
    editor.chmod(0o755)
    main, side = pty.openpty()
    arguments = command("edit", "--override", "a", "--catalogue", str(catalogue))
    environment = clean_environment({"EDITOR": str(editor)})
    with subprocess.Popen(arguments, stdin=side, stdout=side, stderr=side, env=environment) as running:
        os.close(side)
        os.write(main, b"y\ny\n")
        output = b""
        while True:
            try:
                part = os.read(main, 4096)
            except OSError:  # the other end is closed
                break
            output += part
    os.close(main)
    assert running.returncode == 0, output.decode()
    assert b'did you mean "pinned"' in output
    assert b"+pinned = true" in output
    text = (catalogue.parent / "models.d" / "a.toml").read_text()
    assert "\npinned = true\n" in text


def test_with_a_daemon_the_plan_is_its_own_and_it_reloads(build: Build) -> None:
    sparkd = build({"a": engine()})
    socket = str(sparkd.folder / "run" / "control.sock")
    result = sparkctl("edit", "own", "--from", "-", "--yes", "--socket", socket, stdin=GOOD)
    assert result.out == "Wrote models.d/own.toml: changed a. `sparkctl undo` restores the old text.\n"
    assert json.loads(sparkctl("status", "a", "--json", "--socket", socket).out)["pinned"]
    undone = sparkctl("undo", "--socket", socket)
    assert undone.out == "Edit 1: models.d/own.toml is deleted again; changed a.\n"
