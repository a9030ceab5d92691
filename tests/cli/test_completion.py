"""Completions, asked of real shells: bash always, zsh and fish where the machine has them."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sparkd.cli.arguments import create_sparkctl_parser
from sparkd.cli.completion.command import list_command_nodes

CATALOGUE = """
[models.qwen]
engine = "command"
command = ["true", "{port}"]
memory = "1 GiB"
aliases = ["org/qwen:latest"]

[models.tiny]
engine = "command"
command = ["true", "{port}"]
memory = "1 GiB"
"""

SPARKCTL = Path(sys.executable).with_name("sparkctl")

Complete = Callable[[str], set[str]]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catalogue") / "models.toml"
    path.write_text(CATALOGUE)
    return path


@pytest.fixture(scope="module")
def environment(catalogue: Path) -> dict[str, str]:
    path = f"{SPARKCTL.parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "SPARKD_CATALOGUE": str(catalogue), "TERM": "dumb"}


def script(shell: str) -> str:
    return subprocess.run([SPARKCTL, "completion", shell], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def bash(environment: dict[str, str]) -> Complete:
    """What bash's function answers for a line, the cursor at its end."""
    source = script("bash")
    ask = 'COMP_LINE=$1 COMP_POINT=${#1}; _sparkd_complete "${1%% *}"; printf "%s\\n" "${COMPREPLY[@]}"'

    def complete(line: str) -> set[str]:
        argv = ["bash", "--norc", "-c", f"{source}\n{ask}", "bash", line]
        result = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
        assert result.stderr == ""
        return set(result.stdout.split("\n")) - {""}

    return complete


def test_every_command_is_completed(bash: Complete) -> None:
    commands = bash("sparkctl ")
    assert {"status", "load", "runtime", "completion", "doctor"} <= commands
    assert all(f"    {command} " in create_sparkctl_parser().format_help() for command in commands)
    assert bash("sparkctl lo") == {"load", "logs"}
    assert bash("sparkctl runtime ") == {"build", "list", "prune", "rollback"}
    assert bash("sparkctl --json runtime b") == {"build"}


def test_every_option_is_completed_at_its_own_command(bash: Complete) -> None:
    for node in list_command_nodes():
        names = {name for option in node.options for name in option.names}
        assert bash(f"{node.path} -") == names
    assert "--follow" not in bash("sparkctl status -")


def test_models_and_aliases_come_from_the_catalogue_as_it_is_now(bash: Complete) -> None:
    assert bash("sparkctl load ") == {"qwen", "org/qwen:latest", "tiny"}
    assert bash("sparkctl --json logs -f -n 5 t") == {"tiny"}
    assert bash("sparkctl load org/qwen:l") == {"latest"}, "bash thinks that a word begins after a colon"


def test_a_catalogue_named_on_the_line_is_the_one_asked(bash: Complete, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(CATALOGUE[CATALOGUE.index("[models.tiny]") :].replace("tiny", "other"))
    assert bash(f"sparkctl --catalogue {other} load ") == {"other"}
    assert bash(f"sparkctl load --catalogue={other} ") == {"other"}


def test_a_broken_catalogue_completes_to_nothing_and_says_nothing(bash: Complete, tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[models")
    assert bash(f"sparkctl --catalogue {broken} load ") == set()


def test_values_of_options_are_completed(bash: Complete, tmp_path: Path) -> None:
    assert bash("sparkctl explain --api m") == {"messages"}
    assert bash("sparkctl explain --api=m") == {"messages"}
    assert bash("sparkd --log-level ") == {"debug", "info", "warning", "error"}
    (tmp_path / "a file.toml").touch()
    assert bash(f"sparkctl --catalogue {tmp_path}/a") == {f"{tmp_path}/a file.toml"}
    assert bash("sparkctl logs -n ") == set()
    assert bash("sparkctl status --nonsense=x") == set()


def test_the_tab_key_completes_in_bash(environment: dict[str, str], tmp_path: Path) -> None:
    made = tmp_path / "script"
    made.write_text(script("bash"))
    output = complete_on_terminal(
        ["bash", "--norc", "--noprofile", "-i"], f"source {made}\n", "sparkctl load ti\t", environment
    )
    assert "sparkctl load tiny" in output


def test_zsh_and_fish_complete_where_they_are(environment: dict[str, str], tmp_path: Path) -> None:
    for shell in filter(shutil.which, ("zsh", "fish")):
        made = tmp_path / shell
        made.write_text(script(shell))
        if shell == "zsh":
            begin = f"autoload -Uz compinit && compinit -u -D && source {made}\n"
            assert "sparkctl load tiny" in complete_on_terminal(
                ["zsh", "-f", "-i"], begin, "sparkctl load ti\t", environment
            )
            continue
        for line, expected in (
            ("load ", {"qwen", "org/qwen:latest", "tiny"}),
            ("--json logs -n 3 t", {"tiny"}),
            ("runtime ", {"build", "list", "prune", "rollback"}),
            ("explain --api ", {"chat", "completions", "messages", "responses"}),
        ):
            ask = [shell, "--no-config", "-c", f"source {made}; complete -C 'sparkctl {line}'"]
            result = subprocess.run(ask, env=environment, capture_output=True, text=True, check=True)
            assert {found.split("\t")[0] for found in result.stdout.splitlines()} == expected
            assert result.stderr == ""


def test_a_shell_that_we_do_not_know_is_named(environment: dict[str, str]) -> None:
    result = subprocess.run(
        [SPARKCTL, "completion", "fisch"], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "there is no shell 'fisch'; did you mean 'fish'?" in result.stderr


def complete_on_terminal(argv: list[str], begin: str, typed: str, environment: dict[str, str]) -> str:
    """What a terminal shows once a shell has answered a line that ends in TAB."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(argv[0], argv, environment)
    try:
        os.write(terminal, begin.encode())
        shown = _read_until(
            terminal, lambda shown: shown.count(b"$") + shown.count(b"#") + shown.count(b"%") >= 2
        )
        os.write(terminal, typed.encode())
        shown += _read_until(terminal, lambda more: typed.encode().rstrip() + b"ny" in more)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(terminal)
    return shown.decode(errors="replace")


def _read_until(terminal: int, is_enough: Callable[[bytes], bool], seconds: float = 60.0) -> bytes:
    shown, deadline = b"", time.monotonic() + seconds
    while time.monotonic() < deadline and not is_enough(shown):
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 65536)
    return shown
