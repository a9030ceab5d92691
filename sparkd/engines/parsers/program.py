"""`python program.py MODULE`: check command lines with the parser of an engine, many in one process.

stdin: `{"<name>": {"argv": ["--flag", "value", …], "variables": ["VLLM_…", …]}, …}`; argv without the program.
stdout, on one line: `{"version": "0.32.0", "flags": ["--dtype", …], "problems": {"<name>": [problem, …]}}`.

A problem has `flag` (the wrong flag or variable; empty if it is not a single one), `kind` ("unknown", "choice",
"value" or "variable"), `text` (what is wrong, unless it is a choice) and `choices`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn, Protocol

Problem = dict[str, Any]
Refusal = tuple[str, str, Sequence[str]]
"""A flag, what is wrong with its value, and the valid values if there are only some."""


class EngineParser(Protocol):
    """The interface of `Engine` in each module beside this one."""

    def version(self) -> str:
        """Name and version of the engine."""
        ...

    def parser(self) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
        """The parser for `prepared` command lines, and its subparser (or the same one) that has the flags."""
        ...

    def prepared(self, argv: list[str]) -> list[str]:
        """The command line as the program passes it to the parser."""
        ...

    def refused(self, parsed: argparse.Namespace) -> Iterable[Refusal]:
        """Values that the engine rejects only later, if that is cheap to find out. May raise what the engine raises."""
        ...

    def unknown_variables(self, names: list[str]) -> Iterable[tuple[str, Sequence[str]]]:
        """Variables with the engine's prefix that the engine does not know, each with those that it knows."""
        ...


class Refused(Exception):
    """The parser's own error message."""


def describe_problem(flag: str, kind: str, text: str = "", choices: Sequence[str] = ()) -> Problem:
    """One problem."""
    return {"flag": flag, "kind": kind, "text": text, "choices": list(choices)}


class Parsing:
    """A parser that does not exit, and checks a command line again until it finds no more problems."""

    def __init__(self, engine: EngineParser) -> None:
        self.engine = engine
        self.outer, inner = engine.parser()
        self.flags = inner._option_string_actions  # noqa: SLF001 - argparse names its flags nowhere else
        self._left_over: list[str] = []
        self._parse_known_args = self.outer.parse_known_args
        for parser in (self.outer, inner):
            parser.error = _refuse  # type: ignore[method-assign]
        self.outer.parse_known_args = self._noting_what_is_left_over  # type: ignore[assignment]

    def find_problems(self, argv: list[str], variables: list[str]) -> Iterator[Problem]:
        """The problems of a command line. A flag with a problem is removed before the next check."""
        for name, known in self.engine.unknown_variables(variables):
            yield describe_problem(name, "variable", choices=known)
        left_out: set[str] = set()
        while True:
            found = self._next(argv)
            # A flag that needs one of the removed flags has no problem of its own.
            yield from (one for one in found if not left_out & set(_flags_in(one["text"])))
            left_out |= {one["flag"] for one in found}
            shorter = _without(argv, left_out)
            if shorter == argv or "" in left_out:
                return
            argv = shorter

    def _next(self, argv: list[str]) -> list[Problem]:
        if abbreviated := list(self._abbreviated(argv)):
            return abbreviated
        self._left_over = []
        try:
            parsed = self.outer.parse_args(self.engine.prepared(argv))
        except SystemExit:
            ends = next((flag for flag in ("--help", "-h", "--version", "-v") if flag in argv), "")
            return [describe_problem(ends, "value", "ends the program at once")]
        except Exception as error:  # noqa: BLE001 - any exception of a parser rejects the line
            return [self._explain_error(str(error), argv)]
        if self._left_over:
            unknown = [_flag(argument) for argument in self._left_over if argument.startswith("-")]
            return [describe_problem(flag, "unknown") for flag in dict.fromkeys(unknown)] or [
                self._stray(argv)
            ]
        return self._refused(parsed, argv)

    def _noting_what_is_left_over(
        self, args: Any = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        parsed, self._left_over = self._parse_known_args(args, namespace)
        return parsed, []

    def _abbreviated(self, argv: list[str]) -> Iterator[Problem]:
        """Abbreviated flags: a later version with one more flag may reject them."""
        for flag in filter(None, map(_flag, argv)):
            meant = {name for name in self.flags if name.startswith(flag)}
            if flag.startswith("--") and flag not in self.flags and len(meant) == 1:
                yield describe_problem(
                    flag, "value", f"is an abbreviation of {meant.pop()}; use the full name"
                )

    def _explain_error(self, message: str, argv: list[str]) -> Problem:
        """From the parser's message; argparse's is "argument --flag/-f: what is wrong"."""
        found = re.match(r"(?:argument|ambiguous option:?) (\S+?):? (.*)", message, re.DOTALL)
        names, text = found.groups() if found else ("", message)
        flag = next((flag for flag in map(_flag, argv) if flag and flag in names.split("/")), "")
        action = self.flags.get(flag)
        if action is not None and action.choices and text.startswith("invalid choice"):
            return describe_problem(
                flag, "choice", choices=[str(one) for one in action.choices if one is not None]
            )
        return describe_problem(flag or _meant(text, argv), "value", tidy(text))

    def _stray(self, argv: list[str]) -> Problem:
        """A value that belongs to no flag; most likely it follows a flag without values."""
        value, flag, owner = self._left_over[0], "", ""
        for argument in argv:
            flag = _flag(argument) or flag
            if argument == value and flag and (not owner or self.flags[flag].nargs == 0):
                owner = flag
        return describe_problem(owner, "value", f"does not take {value!r}")

    def _refused(self, parsed: argparse.Namespace, argv: list[str]) -> list[Problem]:
        found: list[Problem] = []
        try:
            for flag, text, choices in self.engine.refused(parsed):
                found.append(describe_problem(flag, "choice" if choices else "value", tidy(text), choices))
        except Exception as error:  # noqa: BLE001 - a start would raise the same
            found.append(describe_problem(_meant(str(error), argv), "value", tidy(str(error))))
        return found


def tidy(text: str) -> str:
    """A parser's message on one line, without its internal details."""
    if re.search(r"cannot be converted to <function loads\b", text):
        return "expected JSON"
    text = re.sub(r"^invalid \w*int\w* value: .*", "expected a whole number", text)
    text = re.sub(r"^invalid \w*float value: .*", "expected a number", text)
    text = re.sub(r"^\d+ validation errors? for \w+\n", "", text)
    lines = [line.strip() for line in text.splitlines() if "https://errors.pydantic.dev" not in line]
    line = ": ".join(filter(None, (re.sub(r"\s*\[type=\w+, input_.*\]$", "", line) for line in lines)))
    return line.removeprefix("Error: ").removeprefix("Input ").rstrip(".")


def _refuse(message: str) -> NoReturn:
    raise Refused(message)


def _flag(argument: str) -> str:
    """The flag of an argument in the parser's spelling, or "": `--hf_overrides.a=1` is `--hf-overrides`."""
    head = argument.partition("=")[0]
    if head.startswith("--"):
        return head.partition(".")[0].replace("_", "-")
    return head if re.fullmatch(r"-[A-Za-z]\w*", head) else ""


def _flags_in(text: str) -> list[str]:
    return re.findall(r"--[a-z][\w-]+", text)


def _meant(text: str, argv: list[str]) -> str:
    """The first flag of the command line that a text mentions, or the one whose value it mentions."""
    given = set(map(_flag, argv))
    mentioned = next((flag for flag in _flags_in(text) if flag in given), "")
    flag = ""
    for argument in argv:
        flag = _flag(argument) or flag
        if not mentioned and flag and not _flag(argument) and len(argument) > 3 and argument in text:
            mentioned = flag
    return mentioned


def _without(argv: list[str], flags: set[str]) -> list[str]:
    """The command line without some flags and the values that follow them."""
    kept: list[str] = []
    flag = ""
    for argument in argv:
        flag = _flag(argument) or flag
        if not flag or flag not in flags:
            kept.append(argument)
    return kept


def check_all(engine: EngineParser, lines: dict[str, dict[str, list[str]]]) -> dict[str, Any]:
    """The problems of every command line."""
    parsing = Parsing(engine)
    return {
        "version": engine.version(),
        "flags": sorted(parsing.flags),
        "problems": {
            name: list(parsing.find_problems(line["argv"], line["variables"])) for name, line in lines.items()
        },
    }


def main() -> None:
    """Read command lines from stdin and write their problems to stdout."""
    lines = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):  # engines print while they are imported
        result = check_all(importlib.import_module(sys.argv[1]).Engine(), lines)
    sys.stdout.write("\n" + json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
