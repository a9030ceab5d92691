"""`sparkctl check --runtime`: the parser of a runtime is asked. Here the runtime is a small one, made for the test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparkd.catalog.reading import read_catalogue
from sparkd.runtimes import build
from tests.cli.running import CommandResult, sparkctl
from tests.runtimes.tiny import hash_of, make_wheel

VLLM = """
import argparse, sys, types
print("a greeting that is no answer")
class Serve:
    def subparser_init(self, subparsers):
        parser = subparsers.add_parser("serve")
        parser.add_argument("model_tag")
        for flag in ("served-model-name", "uds", "max-model-len", "gpu-memory-utilization"):
            parser.add_argument("--" + flag)
        parser.add_argument("--max-num-seqs", type=int)
        parser.add_argument("--dtype", choices=["auto", "float16"])
        parser.add_argument("--kv-cache-dtype", choices=["fp%d" % bits for bits in range(16)])
        parser.add_argument("--enable-log-requests", action="store_true")
        return parser
    def validate(self, parsed):
        pass
serve = types.ModuleType("serve")
serve.cmd_init = lambda: [Serve()]
serve.FlexibleArgumentParser = argparse.ArgumentParser
serve.environment_variables = {"VLLM_LOGGING_LEVEL": None}
for name in ("entrypoints", "entrypoints.cli", "entrypoints.cli.serve", "envs"):
    sys.modules["vllm." + name] = serve
def main(): ...
import atexit
atexit.register(print, "a farewell that is none either")
"""

CATALOGUE = """
[families.small]
runtime = "built"
options.max-num-seqs = 8

[models.one]
family = "small"
source = "org/one"
aliases = ["uno"]
context_length = 4096
memory = "1 GiB"
environment.VLLM_LOGGING_LEVEL = "DEBUG"

[models.two]
family = "small"
source = "org/two"
status = "disabled"
reason = "not tried yet"
options.dtype = "float33"

[models.three]
family = "small"
runtime = "unbuilt"
source = "org/three"
"""

UNBUILT = (
    'not checked, because runtime "unbuilt" is not built: `sparkctl runtime build unbuilt`, '
    "or use --stand-in with one that is built"
)


@pytest.fixture(scope="module")
def catalogue_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue with a runtime that is built and one that is not."""
    folder = tmp_path_factory.mktemp("house")
    wheel = make_wheel(folder / "wheels", "vllm", "1.2", module=VLLM)
    for name in ("built", "unbuilt"):
        runtime = folder / "venvs" / name
        runtime.mkdir(parents=True)
        (runtime / "requirements.lock").write_text(f"vllm==1.2 --hash={hash_of(wheel)}\n")
        (runtime / "runtime.toml").write_text(f'find_links = ["{folder}/wheels"]\n')
    (folder / "models.toml").write_text(CATALOGUE)
    built = read_catalogue(folder / "models.toml").runtimes["built"]
    build(built, folder / "runtimes", lambda _: None, inherited={"PATH": "/usr/bin:/bin", "UV_OFFLINE": "1"})
    return folder


def check(catalogue_folder: Path, *arguments: str, drop_in: str = "") -> CommandResult:
    """Run it in the house, with a drop-in of the test's own; files are named by where they are in the house."""
    (catalogue_folder / "models.d").mkdir(exist_ok=True)
    (catalogue_folder / "models.d" / "mine.toml").write_text(drop_in)
    result = sparkctl("check", "--runtime", *arguments, cwd=catalogue_folder)
    return CommandResult(result.code, result.out.replace(f"{catalogue_folder}/", ""), result.err)


def test_flags_that_the_parser_takes_are_told_in_a_line_with_whom_nobody_was_asked_about(
    catalogue_folder: Path,
) -> None:
    result = check(catalogue_folder)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        "models.toml is valid: 3 models (1 disabled), 1 alias, 2 runtimes",
        "vLLM 1.2 of runtime built accepts the flags of 1 model",
        "note: none of 2 models is on disk; to begin: `sparkctl pull one`",
        f"note: three: {UNBUILT}",
    ]


def test_another_runtime_stands_in_and_that_is_said(catalogue_folder: Path) -> None:
    for stand_in in ("built", "unbuilt=built"):
        result = check(catalogue_folder, "--stand-in", stand_in)
        assert result.code == 0
        assert "vLLM 1.2 of runtime built accepts the flags of 2 models; also used for unbuilt" in result.out


def test_a_stand_in_for_one_runtime_is_asked_for_that_one_only(catalogue_folder: Path) -> None:
    assert "three: not checked" in check(catalogue_folder, "--stand-in", "built=built").out


def test_disabled_models_are_asked_about_with_all_or_by_name(catalogue_folder: Path) -> None:
    problem = 'models.toml: models.two.options.dtype = "float33": expected "auto" or "float16"; did you mean "float16"?'
    for arguments in (["--all"], ["two"]):
        result = check(catalogue_folder, *arguments)
        assert (result.code, result.out.splitlines()) == (1, [problem, "1 problem in models.toml"])


def test_every_stale_flag_is_a_line_that_names_whoever_said_it(catalogue_folder: Path) -> None:
    drop_in = """
        [families.small]
        options = { disable-log-requests = true, max-num-sequences = 4, kv-cache-dtype = "fp9x" }
        environment.VLLM_LOGING_LEVEL = "DEBUG"
        [changes.one]
        options = { max-num-seqs = "many", no-such = false }
        """
    result = check(catalogue_folder, "one", "uno", "three", "--stand-in", "built", drop_in=drop_in)
    assert result.code == 1
    family, change = "models.d/mine.toml: families.small.", "models.d/mine.toml: changes.one."
    flag, variable = "vLLM 1.2 has no such flag", "vLLM 1.2 knows no such variable"
    assert set(result.out.splitlines()) == {
        f'{change}options.max-num-seqs = "many": expected a whole number',
        f"{change}options.no-such = false: {flag}",
        f'{family}environment.VLLM_LOGING_LEVEL = "DEBUG": {variable}; did you mean "VLLM_LOGGING_LEVEL"?',
        f'{family}options.disable-log-requests = true: {flag}; there is "enable-log-requests"',
        f'{family}options.kv-cache-dtype = "fp9x": is not one of the 16 that vLLM 1.2 knows; did you mean "fp9"?',
        f'{family}options.max-num-sequences = 4: {flag}; did you mean "max-num-seqs"?',
        "6 problems in models.toml",
    }


def test_a_disabled_model_that_is_defined_by_half_is_told(catalogue_folder: Path) -> None:
    result = check(catalogue_folder, "two", drop_in='[changes.two]\noptions.uds = "/x"')
    assert result.code == 1
    assert result.out.startswith("models.toml: models.two: model two: option uds cannot be set")


def test_who_asks_by_name_is_not_told_that_all_is_well_when_nobody_was_asked(catalogue_folder: Path) -> None:
    result = check(catalogue_folder, "three")
    assert result.code == 1
    assert result.out.startswith('three: not checked, because runtime "unbuilt" is not built')


def test_programs_with_command_lines_of_their_own_are_left_alone(catalogue_folder: Path) -> None:
    own = '[models.own]\nengine = "command"\ncommand = ["serve", "{port}"]\n'
    result = check(catalogue_folder, drop_in=own)
    assert result.code == 0
    assert 'note: own: engine "command" has no parser to check flags with' in result.out


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("raise ImportError('libcuda.so.1 is missing')", "ImportError: libcuda.so.1 is missing"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "died with <Signals.SIGSEGV: 11>"),
        ("import os; os._exit(0)", "it printed no result"),
    ],
)
def test_a_parser_that_fails_is_a_problem_with_its_last_words(
    program: str, words: str, catalogue_folder: Path
) -> None:
    (site,) = (catalogue_folder / "runtimes").glob("built-*/lib/python*/site-packages")
    whole = (site / "vllm.py").read_text()
    try:
        (site / "vllm.py").write_text(program)
        result = check(catalogue_folder)
    finally:
        (site / "vllm.py").write_text(whole)
    assert result.code == 1
    first = result.out.splitlines()[0]
    assert first.startswith('runtime "built": its parser failed: ')
    assert words in first


def test_a_program_gets_problems_notes_and_who_was_asked(catalogue_folder: Path) -> None:
    checked = json.loads(check(catalogue_folder, "--stand-in", "built", "--json").out)
    assert (checked["problems"], len(checked["notes"])) == ([], 1)
    assert checked["parsers"] == [
        {"version": "vLLM 1.2", "runtime": "built", "stand_in_for": ["unbuilt"], "models": 2},
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["nosuch"], 4, 'There is no model "nosuch"'),
        (["--stand-in", "bilt"], 4, 'there is no runtime "bilt"; did you mean "built"?'),
        (["--stand-in", "built="], 4, 'there is no runtime ""'),
        (["--stand-in", "bilt=built"], 4, 'there is no runtime "bilt"; did you mean "built"?'),
        (
            ["--stand-in", "unbuilt"],
            4,
            'runtime "unbuilt" is not built: run `sparkctl runtime build unbuilt`',
        ),
    ],
)
def test_what_is_not_there_is_told(
    arguments: list[str], code: int, error: str, catalogue_folder: Path
) -> None:
    result = check(catalogue_folder, *arguments)
    assert (result.code, result.out) == (code, "")
    assert error in result.err


def test_names_without_runtime_are_a_mistake(catalogue_folder: Path) -> None:
    result = sparkctl("check", "one", cwd=catalogue_folder)
    assert (result.code, result.out) == (2, "")
    assert result.err == "sparkctl: MODEL, --all and --stand-in need --runtime\n"
