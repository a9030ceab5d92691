"""What a parser's refusals become: problems of flags. The parser is argparse's, as engines' are."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from sparkd.engines.parsers.program import check_all, tidy
from sparkd.engines.parsers.sglang_serve import Engine as SGLang


class Engine:
    """Two levels, as vLLM's parser has, with flags of every kind."""

    def __init__(self) -> None:
        self._outer = argparse.ArgumentParser(prog="engine")
        self._inner = self._outer.add_subparsers().add_parser("serve")
        self._inner.add_argument("model", nargs="?")
        self._inner.add_argument("--max-num-seqs", type=int)
        self._inner.add_argument("--max-num-tokens", "-t", type=int)
        self._inner.add_argument("--enforce-eager", action=argparse.BooleanOptionalAction)
        self._inner.add_argument("--dtype", choices=["auto", "float16"])
        self._inner.add_argument("--overrides", type=json.loads)
        self._inner.add_argument("--names", nargs="+")
        self._inner.add_argument("--auto-tools", action="store_true")
        self._inner.add_argument("--tool-parser")

    def version(self) -> str:
        return "engine 1"

    def parser(self) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
        return self._outer, self._inner

    def prepared(self, argv: list[str]) -> list[str]:
        return ["serve", *argv]

    def refused(self, parsed: argparse.Namespace) -> Iterator[tuple[str, str, Sequence[str]]]:
        if parsed.tool_parser not in (None, "good", "path"):
            yield "--tool-parser", "", ["good", "path"]
        if parsed.auto_tools and not parsed.tool_parser:
            raise TypeError("Error: --auto-tools requires --tool-parser")
        if parsed.names == ["./nowhere"]:
            raise ValueError("./nowhere is not there")

    def unknown_variables(self, names: list[str]) -> Iterator[tuple[str, Sequence[str]]]:
        for name in names:
            if name.startswith("ENGINE_") and name != "ENGINE_A":
                yield name, ["ENGINE_A"]


def report(*argv: str, variables: Sequence[str] = ()) -> list[dict[str, Any]]:
    lines = {"m": {"argv": list(argv), "variables": list(variables)}}
    found: list[dict[str, Any]] = check_all(Engine(), lines)["problems"]["m"]
    return found


def find_problems(*argv: str) -> list[tuple[str, str, str]]:
    return [(one["flag"], one["kind"], one["text"]) for one in report("org/m", *argv)]


def test_a_good_command_line_has_no_report() -> None:
    assert find_problems("--max-num-seqs", "8", "--no-enforce-eager", "--names", "a", "b", "-t=5") == []


def test_each_unknown_flag_is_reported_without_its_values() -> None:
    assert find_problems("--foo", "1", "--max-num-seqs", "8", "--bar=2", "--no-baz") == [
        ("--foo", "unknown", ""),
        ("--bar", "unknown", ""),
        ("--no-baz", "unknown", ""),
    ]


def test_a_choice_comes_with_the_choices() -> None:
    assert report("org/m", "--dtype", "float33") == [
        {"flag": "--dtype", "kind": "choice", "text": "", "choices": ["auto", "float16"]}
    ]


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--max-num-seqs", "many"], "expected a whole number"),
        (["--max-num-seqs"], "expected one argument"),
        (["--names"], "expected at least one argument"),
        (["--max-num-seq", "8"], "is an abbreviation of --max-num-seqs; use the full name"),
        (["--max-num", "8"], "could match --max-num-seqs, --max-num-tokens"),
        (["--help"], "ends the program at once"),
        (["--enforce-eager", "true"], "does not take 'true'"),
        (["--names", "./nowhere"], "./nowhere is not there"),
        (["--auto-tools"], "--auto-tools requires --tool-parser"),
    ],
)
def test_a_wrong_value_is_reported_with_its_flag(argv: list[str], text: str) -> None:
    assert find_problems(*argv) == [(argv[0], "value", text)]


def test_a_value_for_a_flag_that_takes_none_is_reported_with_that_flag() -> None:
    assert find_problems("--max-num-seqs", "8", "--enforce-eager", "8") == [
        ("--enforce-eager", "value", "does not take '8'")
    ]
    assert find_problems("--max-num-seqs", "8", "9") == [("--max-num-seqs", "value", "does not take '9'")]


def test_every_problem_is_reported_not_only_the_one_the_parser_stops_at() -> None:
    argv = ["--foo", "--dtype", "x", "--max-num-seqs", "y", "--tool-parser", "z", "--enforce-eager", "0"]
    assert [flag for flag, _, _ in find_problems(*argv)] == [
        "--dtype",
        "--max-num-seqs",
        "--foo",
        "--enforce-eager",
        "--tool-parser",
    ]


def test_a_flag_that_needs_a_wrong_one_is_not_blamed_for_it() -> None:
    assert find_problems("--auto-tools", "--tool-parser", "x") == [("--tool-parser", "choice", "")]


def test_only_the_variables_of_the_engine_are_looked_at() -> None:
    variables = ["ENGINE_A", "ENGINE_B", "OMP_NUM_THREADS"]
    assert report("org/m", variables=variables) == [
        {"flag": "ENGINE_B", "kind": "variable", "text": "", "choices": ["ENGINE_A"]}
    ]


def test_what_a_parser_says_is_made_one_line() -> None:
    pydantic = (
        "1 validation error for CompilationConfig\ncudagraph_mde\n"
        "  Unexpected keyword argument [type=unexpected_keyword_argument, input_value='x', input_type=str]\n"
        "    For further information visit https://errors.pydantic.dev/2.14/v/unexpected_keyword_argument"
    )
    assert tidy(pydantic) == "cudagraph_mde: Unexpected keyword argument"
    assert tidy("Value {oops cannot be converted to <function loads at 0x7f10562a8360>.") == "expected JSON"
    assert tidy("Input should be less than or equal to 1") == "should be less than or equal to 1"


@pytest.mark.parametrize(
    "argv",
    [
        ["serve", "org/m", "--port", "1"],
        ["serve", "--model-path", "org/m", "--port", "1"],
        ["-m", "sglang.launch_server", "--model-path", "org/m", "--port", "1"],
    ],
)
def test_sglang_is_asked_about_its_flags_however_it_is_started(argv: list[str]) -> None:
    prepared = SGLang.prepared(SGLang.__new__(SGLang), argv)
    assert prepared == ["--model-path", "org/m", "--port", "1"]
