"""`sparkctl add` of a folder: what it shows, what it writes, and that it never writes over or beside anything."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from sparkd.catalog.reading import read_catalogue
from tests.cli.running import CommandResult, clean_environment, command, sparkctl
from tests.guessing.configs import LLAMA, NEMOTRON_H

CLONE = Path(__file__).parents[2]
MODELS = CLONE / ".sparkd" / "models"


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """An empty catalogue of a machine with 24 GiB, and a runtime named `cpu`."""
    path = tmp_path / "models.toml"
    path.write_text('[memory]\ntotal = "24 GiB"\nreserve = "4 GiB"\n')
    (tmp_path / "venvs" / "cpu").mkdir(parents=True)
    (tmp_path / "venvs" / "cpu" / "runtime.toml").write_text("")
    return path


def model(folder: Path, config: object = LLAMA, **files: str) -> Path:
    """A folder with a model in it."""
    folder.mkdir()
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"x" * 1000)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def add(*arguments: str | Path, cwd: Path | None = None) -> CommandResult:
    """Add a model to be run without a GPU, whatever machine this is."""
    return sparkctl("add", "--runtime", "cpu", *arguments, cwd=cwd)


def drop_ins(catalogue: Path) -> list[str]:
    folder = catalogue.parent / "models.d"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_real_chat_model_is_added_and_the_catalogue_is_right_with_it(catalogue: Path) -> None:
    result = add("--yes", MODELS / "SmolLM2-135M-Instruct", "--catalogue", catalogue)
    assert (result.code, result.err) == (0, "")
    words = " ".join(result.out.split())
    assert "context_length 8192 max_position_embeddings" in words
    assert "KV cache: 30 layers * 2 * 3 heads * 64 * 4 bytes * 32768 tokens" in words
    assert "Next: `sparkctl reload`, `sparkctl plan smollm2-135m-instruct`" in words
    added = read_catalogue(catalogue).models["smollm2-135m-instruct"]
    assert (added.runtime, added.context_length, added.tags) == ("cpu", 8192, ("chat", "small"))
    assert added.source == str((MODELS / "SmolLM2-135M-Instruct").resolve())
    assert sparkctl("check", "--catalogue", catalogue).code == 0


def test_a_real_embedding_model_becomes_the_utility_and_a_second_one_does_not(catalogue: Path) -> None:
    for id_, lifecycle in (("first", "utility"), ("second", "normal")):
        result = add("-y", "--id", id_, MODELS / "all-MiniLM-L6-v2", "--catalogue", catalogue)
        assert result.code == 0, result.err
        added = read_catalogue(catalogue).models[id_]
        assert (added.lifecycle, added.context_length) == (lifecycle, 256)
        assert added.options["runner"] == "pooling"
    assert "first is the utility model already" in result.out
    assert "first already has this source" in result.out


def test_a_dry_run_shows_the_drop_in_and_writes_nothing(catalogue: Path, tmp_path: Path) -> None:
    result = add("--dry-run", model(tmp_path / "Llama-3.1-8B"), "--catalogue", catalogue)
    assert result.code == 0
    assert '[models."llama-3.1-8b"]' in result.out
    assert ("under systemd, sparkd cannot read /tmp/" in result.out) == str(tmp_path).startswith("/tmp/")
    assert drop_ins(catalogue) == []


def test_the_runtime_is_the_one_for_this_machine(catalogue: Path, tmp_path: Path) -> None:
    (tmp_path / "venvs" / "vllm").mkdir()
    (tmp_path / "venvs" / "vllm" / "runtime.toml").write_text("")
    result = sparkctl("add", "--json", "--dry-run", model(tmp_path / "x"), "--catalogue", catalogue)
    (runtime,) = (guess for guess in json.loads(result.out)["guesses"] if guess["key"] == "runtime")
    expected = {"cpu": "this machine has no GPU", "vllm": "this machine has a GPU"}
    assert runtime["reason"] == expected[runtime["value"]]


def test_a_program_gets_everything_as_json(catalogue: Path, tmp_path: Path) -> None:
    result = sparkctl(
        "add", "--json", "-y", model(tmp_path / "x"), "--context", "4096", "--catalogue", catalogue
    )
    output = json.loads(result.out)
    assert (output["id"], output["written"], output["origin"]) == ("x", True, str(tmp_path / "x"))
    assert {"key": "context_length", "value": 4096, "reason": "as given"} in output["guesses"]
    assert Path(output["file"]).read_text() == output["drop_in"]
    assert output["next"] == ["sparkctl reload", "sparkctl plan x", "sparkctl load x"]


def test_what_is_there_is_never_written_over(catalogue: Path, tmp_path: Path) -> None:
    folder = model(tmp_path / "x")
    (tmp_path / "models.d").mkdir()
    (tmp_path / "models.d" / "x.toml").write_text(
        "[models.mine]\nengine = 'command'\ncommand = ['a', '{port}']\n"
    )
    result = add("-y", folder, "--catalogue", catalogue)
    assert result.code == 1
    assert f"{tmp_path}/models.d/x.toml already exists (it defines mine); delete it" in result.err
    (tmp_path / "models.d" / "x.toml").rename(tmp_path / "models.d" / "y.toml")
    result = add("-y", "--id", "mine", folder, "--catalogue", catalogue)
    assert result.code == 1
    assert '"mine" is the id of a model in' in result.err
    assert drop_ins(catalogue) == ["y.toml"]


def test_two_at_once_write_one(catalogue: Path, tmp_path: Path) -> None:
    folder = model(tmp_path / "x")
    line = command("add", "--runtime", "cpu", "-y", folder, "--catalogue", catalogue)
    both = [
        subprocess.Popen(line, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert sorted(process.wait(30) for process in both) == [0, 1]
    assert drop_ins(catalogue) == ["x.toml"]


@pytest.mark.parametrize(
    "config", ["<html>", "[]", '{"architectures": 3}', json.dumps({**LLAMA, "head_dim": -7})]
)
def test_nonsense_is_told_and_nothing_is_written(catalogue: Path, tmp_path: Path, config: str) -> None:
    result = add("-y", model(tmp_path / "x", config), "--catalogue", catalogue)
    assert (result.code, result.out) == (1, "")
    assert "config.json" in result.err
    assert result.err.count("\n") == 1
    assert drop_ins(catalogue) == []


def test_a_catalogue_that_is_wrong_already_is_told_and_left(catalogue: Path, tmp_path: Path) -> None:
    catalogue.write_text("[modles]\n")
    result = add("-y", model(tmp_path / "x"), "--catalogue", catalogue)
    assert result.code == 1
    assert "modles" in result.err
    assert drop_ins(catalogue) == []


def test_a_family_says_parsers_and_rewriting_and_must_exist(catalogue: Path, tmp_path: Path) -> None:
    folder = model(tmp_path / "x", chat_template__jinja="{% if tools %}<tool_call> must alternate")
    result = add("-y", folder, "--family", "lama", "--catalogue", catalogue)
    assert result.code == 1
    assert "there is no such family" in result.err
    catalogue.write_text(
        catalogue.read_text() + "[families.llama]\noptions.tool-call-parser = 'llama3_json'\n"
    )
    assert add("-y", folder, "--family", "llama", "--catalogue", catalogue).code == 0
    added = read_catalogue(catalogue).models["x"]
    assert added.options["tool-call-parser"] == "llama3_json"
    assert not added.rewriting.alternate_roles


def test_what_the_runtime_says_is_not_said_again(catalogue: Path, tmp_path: Path) -> None:
    catalogue.write_text(
        catalogue.read_text() + "[runtimes.cpu]\noptions = { enforce-eager = true, max-num-seqs = 2 }\n"
    )
    result = add("-y", model(tmp_path / "x"), "--catalogue", catalogue)
    assert "set by its runtime or family: enforce-eager = true, max-num-seqs = 2" in result.out
    written = (tmp_path / "models.d" / "x.toml").read_text()
    assert "enforce-eager" not in written
    assert "max-num-seqs" not in written
    assert read_catalogue(catalogue).models["x"].options["max-num-seqs"] == 2


@pytest.mark.usefixtures("catalogue")
def test_sources_that_are_nothing_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "plain").mkdir()
    for source, code, why in (
        ("./none", 4, "there is no folder"),
        ("./file", 4, "is a file; expected a folder"),
        ("./plain", 1, "has no config.json"),
        ("plain", 1, "./plain means the folder"),
        ("a b", 1, "neither a repository"),
        ("https://huggingface.co/o/m/tree/v2", 1, "add --revision v2"),
    ):
        result = add("-y", source, cwd=tmp_path)
        assert result.code == code, result.err
        assert why in result.err
    for flag, value in (("--context", "many"), ("--context", "0"), ("--memory", "20G"), ("--id", "a b")):
        assert add("-y", "./plain", flag, value, cwd=tmp_path).code in (1, 2)


def test_without_a_terminal_and_without_yes_nothing_is_written(catalogue: Path, tmp_path: Path) -> None:
    result = add(model(tmp_path / "x"), "--catalogue", catalogue)
    assert result.code == 1
    assert "--yes writes the entry" in result.err
    assert drop_ins(catalogue) == []


@pytest.mark.parametrize(
    ("answer", "written"), [("\n", ["x.toml"]), ("y\n", ["x.toml"]), ("n\n", []), ("\x04", [])]
)
def test_on_a_terminal_it_asks(catalogue: Path, tmp_path: Path, answer: str, written: list[str]) -> None:
    assert run_on_terminal(
        answer, "add", "--runtime", "cpu", model(tmp_path / "x"), "--catalogue", catalogue
    ) == (0 if written else 1)
    assert drop_ins(catalogue) == written


def test_foreign_code_needs_a_yes_of_its_own(catalogue: Path, tmp_path: Path) -> None:
    foreign = {**NEMOTRON_H, "model_type": "unheard_of"}
    folder = model(tmp_path / "x", foreign)
    line = ("-y", folder, "--catalogue", catalogue)
    result = add(*line)
    assert result.code == 1
    assert "--trust-remote-code" in result.err
    assert run_on_terminal("\n", "add", "--runtime", "cpu", *line) == 1
    assert drop_ins(catalogue) == []
    assert run_on_terminal("y\n", "add", "--runtime", "cpu", *line) == 0
    assert read_catalogue(catalogue).models["x"].options["trust-remote-code"] is True
    assert add(*line, "--id", "z", "--trust-remote-code").code == 0


def run_on_terminal(answer: str, *arguments: str | Path) -> int:
    """The exit code of sparkctl with a terminal on stdin, on which somebody has typed this."""
    terminal, child_side = pty.openpty()
    try:
        os.write(terminal, answer.encode())
        return subprocess.run(
            command(*arguments),
            stdin=child_side,
            capture_output=True,
            env=clean_environment(),
            timeout=120,
            check=False,
        ).returncode
    finally:
        os.close(terminal)
        os.close(child_side)


def test_a_folder_that_may_not_be_written_is_told(catalogue: Path, tmp_path: Path) -> None:
    (tmp_path / "models.d").write_text("a file")
    result = add("-y", model(tmp_path / "x"), "--catalogue", catalogue)
    assert result.code == 1
    assert "models.d" in result.err
    assert "Traceback" not in result.err


def test_it_loads_no_http_client_for_a_folder() -> None:
    code = "import sys, sparkd.guessing; print('httpx' in sys.modules)"
    result = subprocess.run([command()[0], "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
