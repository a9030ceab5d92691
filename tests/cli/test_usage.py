"""What sparkctl says before it does anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sparkd import __version__
from sparkd.cli import exit_codes
from tests.cli.running import clean_environment, sparkctl


def test_version() -> None:
    assert sparkctl("--version").out == f"sparkctl {__version__}\n"


def test_help_names_every_command_and_every_exit_code() -> None:
    result = sparkctl("--help")
    assert result.code == 0
    for name in ("status", "load", "stop", "retry", "logs", "check", "runtime", "demo"):
        assert f"    {name} " in result.out
    for code, meaning in exit_codes.MEANINGS.items():
        assert f"  {code:<4} {meaning}\n" in result.out


@pytest.mark.parametrize("command", ["status", "load", "stop", "retry", "logs", "check", "runtime", "demo"])
def test_every_command_has_its_own_help(command: str) -> None:
    result = sparkctl(command, "--help")
    assert result.code == 0
    assert result.out.startswith(f"usage: sparkctl {command}")


def test_a_mistyped_command_gets_the_nearest_one_named() -> None:
    result = sparkctl("stauts")
    assert result.code == 2
    assert result.err == (
        "sparkctl: there is no command 'stauts'; did you mean 'status'? (see `sparkctl --help`)\n"
    )
    assert "did you mean 'build'?" in sparkctl("runtime", "bulid").err
    assert "choose from build, list, rollback, prune" in sparkctl("runtime", "xyz").err


def test_a_command_line_that_cannot_be_understood_is_2_and_one_line() -> None:
    for line in (
        [],
        ["load"],
        ["logs", "-n", "x", "qwen"],
        ["status", "--interval", "0"],
        ["demo", "--port", "0"],
        ["--jsn", "status"],
    ):
        result = sparkctl(*line)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith("sparkctl: ")
        assert result.err.count("\n") == 1


def test_a_program_gets_usage_errors_as_json() -> None:
    result = sparkctl("stauts", "--json")
    assert result.code == 2
    assert json.loads(result.err)["error"]["code"] == "usage"


def find_loaded(module: str, suspects: list[str]) -> list[str]:
    """Which of the suspects a fresh Python has loaded once it has imported the module."""
    program = f"import sys, {module}; print(*[name for name in {suspects!r} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=clean_environment(), text=True, check=True
    )
    return result.stdout.split()


def test_help_and_version_load_neither_an_http_client_nor_a_table() -> None:
    assert find_loaded("sparkd.cli.entry", ["httpx", "rich", "starlette", "asyncio", "psutil"]) == []


def test_a_command_loads_no_more_than_it_needs() -> None:
    daemons = [
        "starlette",
        "uvicorn",
        "uvloop",
        "psutil",
        "uv",
        "sparkd.supervising.supervisor",
        "sparkd.engines",
    ]
    assert find_loaded("sparkd.cli.status", daemons) == []
    assert (
        find_loaded("sparkd.cli.check.command", ["httpx", "rich", "uvicorn", "sparkd.supervising.supervisor"])
        == []
    )


def test_the_documentation_has_the_same_exit_codes() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sparkctl.md").read_text()
    table = page.split("## Exit codes")[1].split("##")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and line[2].isdigit()]
    assert rows == [f"| {code} | {meaning} |" for code, meaning in exit_codes.MEANINGS.items()]
