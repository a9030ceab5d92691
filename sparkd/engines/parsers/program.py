"""`python program.py MODULE`: what the parser of an engine thinks of command lines, many in one process.

stdin: `{"<name>": {"argv": ["--flag", "value", …], "variables": ["VLLM_…", …]}, …}`; argv without the program.
stdout, a line of its own: `{"version": "0.32.0", "flags": ["--dtype", …], "complaints": {"<name>": [complaint, …]}}`.

A complaint has `flag` (the one of the command line that is wrong, or the variable; empty where it is no single one),
`problem` ("unknown", "choice", "value" or "variable"), `text` (what is wrong, where no choice is) and `choices`.
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

Complaint = dict[str, Any]
Refusal = tuple[str, str, Sequence[str]]
"""A flag, what is wrong with its value, and the values it may have, if only some may be."""


class Asked(Protocol):
    """What a module beside this one has as `Engine`."""

    def version(self) -> str:
        """Of the engine."""
        ...

    def parser(self) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
        """The parser that takes `prepared` command lines, and the one in it (or the same) that has the flags."""
        ...

    def prepared(self, argv: list[str]) -> list[str]:
        """The command line as its program hands it to the parser."""
        ...

    def refused(self, parsed: argparse.Namespace) -> Iterable[Refusal]:
        """What the engine refuses only later, as far as that is cheap to know. May raise what the engine raises."""
        ...

    def unknown_variables(self, names: list[str]) -> Iterable[tuple[str, Sequence[str]]]:
        """Environment variables that are the engine's by their names, and that it does not know; and those it does."""
        ...


class Refused(Exception):
    """The parser's own words."""


def complaint(flag: str, problem: str, text: str = "", choices: Sequence[str] = ()) -> Complaint:
    """One thing that is wrong."""
    return {"flag": flag, "problem": problem, "text": text, "choices": list(choices)}


class Parsing:
    """A parser that does not exit, and is asked about a command line until it has no more to complain about."""

    def __init__(self, engine: Asked) -> None:
        self.engine = engine
        self.outer, inner = engine.parser()
        self.flags = inner._option_string_actions  # noqa: SLF001 - argparse names its flags nowhere else
        self._left_over: list[str] = []
        self._parse_known_args = self.outer.parse_known_args
        for parser in (self.outer, inner):
            parser.error = _refuse  # type: ignore[method-assign]
        self.outer.parse_known_args = self._noting_what_is_left_over  # type: ignore[assignment]

    def complaints(self, argv: list[str], variables: list[str]) -> Iterator[Complaint]:
        """What is wrong with a command line. A flag that is complained about is left out from then on."""
        for name, known in self.engine.unknown_variables(variables):
            yield complaint(name, "variable", choices=known)
        left_out: set[str] = set()
        while True:
            found = self._next(argv)
            # A flag that needs one which is left out now has no fault of its own.
            yield from (one for one in found if not left_out & set(_flags_in(one["text"])))
            left_out |= {one["flag"] for one in found}
            shorter = _without(argv, left_out)
            if shorter == argv or "" in left_out:
                return
            argv = shorter

    def _next(self, argv: list[str]) -> list[Complaint]:
        if abbreviated := list(self._abbreviated(argv)):
            return abbreviated
        self._left_over = []
        try:
            parsed = self.outer.parse_args(self.engine.prepared(argv))
        except SystemExit:
            ends = next((flag for flag in ("--help", "-h", "--version", "-v") if flag in argv), "")
            return [complaint(ends, "value", "ends the program, which shall serve")]
        except Exception as error:  # noqa: BLE001 - whatever a parser raises, it refuses the line
            return [self._complaint_of(str(error), argv)]
        if self._left_over:
            unknown = [_flag(argument) for argument in self._left_over if argument.startswith("-")]
            return [complaint(flag, "unknown") for flag in dict.fromkeys(unknown)] or [self._stray(argv)]
        return self._refused(parsed, argv)

    def _noting_what_is_left_over(
        self, args: Any = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        parsed, self._left_over = self._parse_known_args(args, namespace)
        return parsed, []

    def _abbreviated(self, argv: list[str]) -> Iterator[Complaint]:
        """Flags that the parser completes: a later version that knows one more flag refuses them."""
        for flag in filter(None, map(_flag, argv)):
            meant = {name for name in self.flags if name.startswith(flag)}
            if flag.startswith("--") and flag not in self.flags and len(meant) == 1:
                yield complaint(flag, "value", f"is taken for {meant.pop()}: write it whole")

    def _complaint_of(self, message: str, argv: list[str]) -> Complaint:
        """From the parser's words; argparse says "argument --flag/-f: what is wrong"."""
        found = re.match(r"(?:argument|ambiguous option:?) (\S+?):? (.*)", message, re.DOTALL)
        names, text = found.groups() if found else ("", message)
        flag = next((flag for flag in map(_flag, argv) if flag and flag in names.split("/")), "")
        action = self.flags.get(flag)
        if action is not None and action.choices and text.startswith("invalid choice"):
            return complaint(flag, "choice", choices=[str(one) for one in action.choices if one is not None])
        return complaint(flag or _meant(text, argv), "value", tidy(text))

    def _stray(self, argv: list[str]) -> Complaint:
        """A value that nobody took; most likely it follows a flag that takes none."""
        value, flag, owner = self._left_over[0], "", ""
        for argument in argv:
            flag = _flag(argument) or flag
            if argument == value and flag and (not owner or self.flags[flag].nargs == 0):
                owner = flag
        return complaint(owner, "value", f"does not take {value!r}")

    def _refused(self, parsed: argparse.Namespace, argv: list[str]) -> list[Complaint]:
        found: list[Complaint] = []
        try:
            for flag, text, choices in self.engine.refused(parsed):
                found.append(complaint(flag, "choice" if choices else "value", tidy(text), choices))
        except Exception as error:  # noqa: BLE001 - whatever it raises here, it would raise at a start
            found.append(complaint(_meant(str(error), argv), "value", tidy(str(error))))
        return found


def tidy(text: str) -> str:
    """What a parser says, on one line, without what only its authors understand."""
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
    """The flag of an argument as parsers name it, or nothing: `--hf_overrides.a=1` is `--hf-overrides`."""
    head = argument.partition("=")[0]
    if head.startswith("--"):
        return head.partition(".")[0].replace("_", "-")
    return head if re.fullmatch(r"-[A-Za-z]\w*", head) else ""


def _flags_in(text: str) -> list[str]:
    return re.findall(r"--[a-z][\w-]+", text)


def _meant(text: str, argv: list[str]) -> str:
    """The first flag of the command line that a text mentions, else the one whose value it mentions."""
    given = set(map(_flag, argv))
    mentioned = next((flag for flag in _flags_in(text) if flag in given), "")
    flag = ""
    for argument in argv:
        flag = _flag(argument) or flag
        if not mentioned and flag and not _flag(argument) and len(argument) > 3 and argument in text:
            mentioned = flag
    return mentioned


def _without(argv: list[str], flags: set[str]) -> list[str]:
    """The command line less some flags and the values that follow them."""
    kept: list[str] = []
    flag = ""
    for argument in argv:
        flag = _flag(argument) or flag
        if not flag or flag not in flags:
            kept.append(argument)
    return kept


def answer(engine: Asked, asked: dict[str, dict[str, list[str]]]) -> dict[str, Any]:
    """Everything about every command line."""
    parsing = Parsing(engine)
    return {
        "version": engine.version(),
        "flags": sorted(parsing.flags),
        "complaints": {
            name: list(parsing.complaints(line["argv"], line["variables"])) for name, line in asked.items()
        },
    }


def main() -> None:
    """Answer what stdin asks."""
    asked = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):  # engines greet
        answered = answer(importlib.import_module(sys.argv[1]).Engine(), asked)
    sys.stdout.write("\n" + json.dumps(answered) + "\n")


if __name__ == "__main__":
    main()
