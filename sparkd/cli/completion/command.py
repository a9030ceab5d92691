"""`sparkctl completion SHELL`: print a completion script for sparkctl and sparkd, made from their own parsers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from msgspec import Struct

from sparkd import daemon
from sparkd.catalog import Catalogue
from sparkd.catalog.patterns import is_pattern
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.cli import arguments as command_line
from sparkd.cli import exit_codes
from sparkd.cli.completion import scripts
from sparkd.cli.completion.scripts import CommandNode, Option
from sparkd.cli.output.messages import print_line

COMPLETION_KINDS = {
    "model": "models",
    "models": "models",
    "names": "runtimes",
    "runtime": "runtimes",
} | dict.fromkeys(("catalogue", "socket"), "files")
"""What completes an argument, by its name in the parser. The scripts ask for the names of models and runtimes."""


def run(arguments: argparse.Namespace) -> int:
    """Print a shell's script, or the names that it asks for, one per line: models and aliases, or runtimes."""
    if arguments.what in scripts.SHELLS:
        print_line(scripts.SHELLS[arguments.what](list_command_nodes()).rstrip("\n"))
    else:
        for name in list_names(read_catalogue(catalogue_path(arguments.catalogue)), arguments.what):
            print_line(name)
    return exit_codes.SUCCESS


def list_names(catalogue: Catalogue, kind: str) -> list[str]:
    """The values of MODEL ("models", without disabled ones) or of a runtime's NAME ("runtimes")."""
    if kind == "runtimes":
        return sorted(catalogue.runtimes)
    enabled = [model for model in catalogue.models.values() if model.enabled]
    return sorted({name for model in enabled for name in (model.id, *model.aliases) if not is_pattern(name)})


def list_command_nodes() -> list[CommandNode]:
    """Every point of both command lines, the program first: "sparkctl", "sparkctl status", "sparkctl runtime build"."""
    parsers = (command_line.create_sparkctl_parser(), daemon.sparkd_parser())
    return [node for parser in parsers for node in _walk_parser(parser, parser.prog)]


class _ParserContents(Struct):
    """The options and commands of one parser."""

    options: list[Option]
    commands: dict[str, str]
    subparsers: dict[str, argparse.ArgumentParser]
    value_kind: str = "nothing"


def _walk_parser(parser: argparse.ArgumentParser, path: str) -> Iterator[CommandNode]:
    contents = _ParserContents([], {}, {})
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to list a parser's actions
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            contents.commands = {choice.dest: choice.help or "" for choice in action._get_subactions()}  # noqa: SLF001
            contents.subparsers = action.choices
        elif action.option_strings:
            contents.options.append(
                Option(tuple(action.option_strings), action.help or "", _find_value_kind(action))
            )
        else:
            contents.value_kind = _find_value_kind(action)
    yield CommandNode(path, tuple(contents.options), contents.commands, contents.value_kind)
    for name, subparser in contents.subparsers.items():
        yield from _walk_parser(subparser, f"{path} {name}")


def _find_value_kind(action: argparse.Action) -> str:
    """What completes the value of an option or an argument; "" for an option without a value."""
    if action.nargs == 0:
        return ""
    if action.choices is not None:
        return f"choices {' '.join(map(str, action.choices))}"
    return COMPLETION_KINDS.get(action.dest, "nothing")
