"""The command line of sparkctl."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from typing import NoReturn

from sparkd import __version__
from sparkd.catalog.quantities import LARGEST_SIZE
from sparkd.catalog.sizes import likely_size, parse_size
from sparkd.cli import exits
from sparkd.cli.output import complain
from sparkd.errors import InvalidRequest


class _Misused(InvalidRequest):
    """The command line cannot be understood."""

    code = "usage"


def parse(argv: list[str]) -> argparse.Namespace:
    """The command with its options; leaves with exits.USAGE when the line cannot be understood."""
    options = argparse.Namespace(json=False, socket=None, catalogue=None)
    try:
        return sparkctl_parser().parse_args(argv, options)
    except _Misused as error:
        complain(error, as_json="--json" in argv)
        sys.exit(exits.USAGE)


class _Parser(argparse.ArgumentParser):
    """Names the nearest command after a typo, and fits an error on one line."""

    def error(self, message: str) -> NoReturn:
        wrong = re.match(r"argument (\w+): invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if wrong:
            what = "shell" if wrong[1] == "SHELL" else "command"
            known = [choice.strip(" '") for choice in wrong[3].split(",")]
            near = difflib.get_close_matches(wrong[2], known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}"
            message = f"there is no {what} '{wrong[2]}'; {hint}"
        raise _Misused(f"{message} (`{self.prog} --help` tells more)")


def sparkctl_parser() -> argparse.ArgumentParser:
    """Everything that the command line knows; completions are made from it."""
    parser = _Parser(
        prog="sparkctl",
        description="Watch and steer sparkd, the inference server of this machine.",
        epilog=_exit_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_everywhere()],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sparkctl {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)

    _status(_command(commands, "status", "what runs, who waits, what memory is left"))
    _of_model(_command(commands, "plan", "what would happen if somebody asked for a model now"))
    _of_model(_command(commands, "load", "make a model ready, and wait until it is"))
    _of_model(_command(commands, "stop", "let a model finish what it has begun, then stop it"))
    _of_model(_command(commands, "retry", "let a model that failed be started again at once"))
    _logs(_command(commands, "logs", "what a model's engine printed"))
    _add(
        _command(commands, "add", "add a model: guess its entry from its files and write it; needs no daemon")
    )
    _command(commands, "reload", "have the catalogue read again; a wrong one changes nothing")
    _command(commands, "reexec", "put the sparkd installed now in the running one's place; its engines go on")
    _of_disk(commands)
    _check(
        _command(commands, "check", "read the catalogue and name everything wrong with it; needs no daemon")
    )
    _command(
        commands,
        "doctor",
        "look over catalogue, daemon and machine, and say what mends what is amiss; needs no daemon",
    )
    _explain(
        _command(
            commands,
            "explain",
            "what becomes of a request (JSON on stdin) before its model gets it; needs no daemon",
        )
    )
    _runtime(_command(commands, "runtime", "the virtualenvs engines run in; needs no daemon"))
    _client(_command(commands, "client", "what a client is to be configured with; needs no daemon"))
    _completion(
        _command(
            commands, "completion", "what a shell needs to complete sparkctl and sparkd; needs no daemon"
        )
    )
    _demo(_command(commands, "demo", "a first answer from a real model on this machine, from nothing"))
    return parser


def _of_disk(commands: argparse._SubParsersAction[_Parser]) -> None:
    """Commands about models on disk."""
    pull = _command(commands, "pull", "download what a model needs, or what of it is missing")
    pull.add_argument("models", nargs="+", metavar="MODEL", help="its id or an alias")
    pull.add_argument("--verify", action="store_true", help="read again and compare what is there already")
    models = _command(commands, "models", "what is on disk of every model, and what no model needs")
    models.add_argument("-a", "--all", action="store_true", help="disabled models too")
    remove = _command(commands, "rm", "take a model off the disk")
    remove.add_argument("-y", "--yes", action="store_true", help="do not ask")
    _of_model(remove)


def _everywhere() -> _Parser:
    # SUPPRESS: these may stand before and after the command, and its defaults must not undo what stood before.
    parent = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    parent.add_argument("--json", action="store_true", help="results as JSON on stdout, errors on stderr")
    parent.add_argument("--socket", metavar="PATH", help="control socket of the daemon (SPARKD_SOCKET)")
    parent.add_argument(
        "--catalogue",
        metavar="PATH",
        help="catalogue (SPARKD_CATALOGUE; else ./models.toml, else /etc/sparkd/models.toml)",
    )
    return parent


def _command(commands: argparse._SubParsersAction[_Parser], name: str, purpose: str) -> _Parser:
    return commands.add_parser(
        name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.", parents=[_everywhere()]
    )


def _client(client: _Parser) -> None:
    client.add_argument(
        "client", choices=("opencode", "cline"), help="opencode.json, or what to type into Cline"
    )
    client.add_argument(
        "--url", metavar="URL", help="where the client reaches sparkd, such as http://spark:8009/v1"
    )
    client.add_argument("--main", metavar="MODEL", help="what OpenCode begins with")


def _of_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", metavar="MODEL", help="its id or an alias")


def _status(status: _Parser) -> None:
    status.add_argument("model", nargs="?", metavar="MODEL", help="only this model")
    status.add_argument("-a", "--all", action="store_true", help="disabled models too")
    status.add_argument("-w", "--watch", action="store_true", help="go on until Ctrl-C")
    status.add_argument(
        "--interval", type=_seconds, default=1.0, metavar="SECONDS", help="between two looks with --watch"
    )


def _logs(logs: _Parser) -> None:
    logs.add_argument("-f", "--follow", action="store_true", help="go on until its process ends")
    logs.add_argument(
        "-n", "--lines", type=_count, default=200, metavar="N", help="begin with the last N lines (200)"
    )
    _of_model(logs)


def _explain(explain: _Parser) -> None:
    explain.add_argument(
        "--api",
        choices=("chat", "completions", "responses", "messages"),
        default="chat",
        help="the API it is for: /v1/chat/completions (chat) or another",
    )
    _of_model(explain)


def _completion(completion: _Parser) -> None:
    completion.add_argument(
        "what",
        choices=("bash", "zsh", "fish", "models", "runtimes"),
        metavar="SHELL",
        help="bash, zsh or fish; models or runtimes: the names that the scripts of these ask for",
    )


def _demo(demo: _Parser) -> None:
    demo.add_argument("--port", type=_port, default=8009, metavar="N", help="where sparkd listens (8009)")
    demo.add_argument("--once", action="store_true", help="leave after the first answer")


def _check(check: _Parser) -> None:
    check.add_argument(
        "--runtime", action="store_true", help="ask the runtimes what they think of the models' flags"
    )
    check.add_argument(
        "models", nargs="*", metavar="MODEL", help="with --runtime: only these, disabled or not"
    )
    check.add_argument("-a", "--all", action="store_true", help="with --runtime: disabled models too")
    check.add_argument(
        "--stand-in",
        action="append",
        default=[],
        metavar="[NAME=]OTHER",
        help="with --runtime: ask runtime OTHER where runtime NAME, or any, is not built",
    )


def _add(add: argparse.ArgumentParser) -> None:
    add.add_argument("source", metavar="SOURCE", help="a repository `org/name`, or a folder (/… or ./…)")
    add.add_argument("--id", metavar="ID", help="what clients shall name it (its name in lower case)")
    add.add_argument(
        "--runtime", metavar="NAME", help="a folder of `paths.venvs` (vllm with a GPU, else cpu)"
    )
    add.add_argument(
        "--family", metavar="NAME", help="a table [families.NAME], which says parsers and rewriting"
    )
    add.add_argument("--context", type=_tokens, metavar="TOKENS", help="`context_length`")
    add.add_argument("--memory", type=_size, metavar="SIZE", help='`memory`, such as "20 GiB"')
    add.add_argument("--revision", metavar="NAME", help="branch, tag or commit of the repository (main)")
    add.add_argument("--trust-remote-code", action="store_true", help="let code that it brings run here")
    add.add_argument("--dry-run", action="store_true", help="show the entry and write nothing")
    add.add_argument("-y", "--yes", action="store_true", help="write it without asking")


def _runtime(runtime: _Parser) -> None:
    actions = runtime.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=_Parser)
    build = _command(actions, "build", "build a runtime's virtualenv, verify it and put it in place")
    build.add_argument("names", nargs="+", metavar="NAME", help="a folder of `paths.venvs`")
    listing = _command(actions, "list", "runtimes and their builds: which is current, from when, how big")
    listing.add_argument("names", nargs="*", metavar="NAME", help="only these")
    rollback = _command(actions, "rollback", "go back to the build before the current one")
    rollback.add_argument("runtime", metavar="NAME", help="a folder of `paths.venvs`")
    pruning = _command(
        actions, "prune", "remove old builds: of each runtime the current and the previous one stay"
    )
    pruning.add_argument("--all", action="store_true", help="keep the current ones only")


def _exit_codes() -> str:
    return "\n".join(["exit codes:", *(f"  {code:<4} {meaning}" for code, meaning in exits.MEANINGS.items())])


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds between 0.1 and 86400")
    return seconds


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port between 1 and 65535")
    return int(text)


def _tokens(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 0 < int(text) < 2**31):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of tokens")
    return int(text)


def _size(text: str) -> int:
    try:
        size = parse_size(text)
    except ValueError:
        size = 0
    if not 0 < size <= LARGEST_SIZE:
        meant = likely_size(text)
        hint = f"; did you mean {meant!r}?" if meant else ""
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as '20 GiB'{hint}")
    return size


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)
