"""`sparkctl completion SHELL`: what a shell needs to complete sparkctl and sparkd, made from their own parsers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from msgspec import Struct

from sparkd import daemon
from sparkd.catalog import Catalogue
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.cli import arguments as command_line
from sparkd.cli import completion_scripts, exits
from sparkd.cli.completion_scripts import Option, Place
from sparkd.cli.output import say

KINDS = {"model": "models", "models": "models", "names": "runtimes", "runtime": "runtimes"} | dict.fromkeys(
    ("catalogue", "socket"), "files"
)
"""What completes an argument, by its name in the parser; the scripts ask for the names of models and runtimes."""


def run(arguments: argparse.Namespace) -> int:
    """Print a shell's script; or the names that it asks for: models with their aliases, or runtimes, a line each."""
    if arguments.what in completion_scripts.SHELLS:
        say(completion_scripts.SHELLS[arguments.what](places()).rstrip("\n"))
    else:
        for name in names(read_catalogue(catalogue_path(arguments.catalogue)), arguments.what):
            say(name)
    return exits.DONE


def names(catalogue: Catalogue, kind: str) -> list[str]:
    """What may stand for MODEL ("models", the disabled left out) or for the NAME of a runtime ("runtimes")."""
    if kind == "runtimes":
        return sorted(catalogue.runtimes)
    enabled = [model for model in catalogue.models.values() if model.enabled]
    return sorted({name for model in enabled for name in (model.id, *model.aliases)})


def places() -> list[Place]:
    """Every point of both command lines, the program first: "sparkctl", "sparkctl status", "sparkctl runtime build"."""
    parsers = (command_line.sparkctl_parser(), daemon.sparkd_parser())
    return [place for parser in parsers for place in _places(parser, parser.prog)]


class _Seen(Struct):
    """What the actions of one parser come to."""

    options: list[Option]
    commands: dict[str, str]
    below: dict[str, argparse.ArgumentParser]
    takes: str = "nothing"


def _places(parser: argparse.ArgumentParser, at: str) -> Iterator[Place]:
    seen = _Seen([], {}, {})
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask what a parser knows
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            seen.commands = {choice.dest: choice.help or "" for choice in action._get_subactions()}  # noqa: SLF001
            seen.below = action.choices
        elif action.option_strings:
            seen.options.append(Option(tuple(action.option_strings), action.help or "", _takes(action)))
        else:
            seen.takes = _takes(action)
    yield Place(at, tuple(seen.options), seen.commands, seen.takes)
    for name, below in seen.below.items():
        yield from _places(below, f"{at} {name}")


def _takes(action: argparse.Action) -> str:
    """What completes the value of an option or of an argument: "" for an option without one."""
    if action.nargs == 0:
        return ""
    if action.choices is not None:
        return f"words {' '.join(map(str, action.choices))}"
    return KINDS.get(action.dest, "nothing")
