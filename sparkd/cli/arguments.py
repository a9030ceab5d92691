"""The command line of sparkctl."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from typing import NoReturn

from sparkd import __version__
from sparkd.cli import exit_codes
from sparkd.cli.argument_types import (
    parse_duration,
    parse_port,
    parse_size_argument,
    parse_tokens,
    parse_until,
)
from sparkd.cli.edit.arguments import define_edit_commands
from sparkd.cli.live_arguments import define_live_commands
from sparkd.cli.log_arguments import define_capture, define_logs
from sparkd.cli.output.messages import print_error
from sparkd.cli.usage_arguments import define_usage_commands
from sparkd.clients.names import PURPOSES
from sparkd.errors import InvalidRequest


class _UsageError(InvalidRequest):
    """The command line is invalid."""

    code = "usage"


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    """The command with its options; exits with exits.USAGE if the command line is invalid."""
    options = argparse.Namespace(json=False, socket=None, catalogue=None)
    try:
        return create_sparkctl_parser().parse_args(argv, options)
    except _UsageError as error:
        print_error(error, as_json="--json" in argv)
        sys.exit(exit_codes.USAGE)


class _Parser(argparse.ArgumentParser):
    """Suggests the nearest command after a typo, and reports an error on one line."""

    def error(self, message: str) -> NoReturn:
        mistake = re.match(r"argument (\w+): invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if mistake:
            kind = {"SHELL": "shell", "CLIENT": "client"}.get(mistake[1], "command")
            known = [choice.strip(" '") for choice in mistake[3].split(",")]
            closest = difflib.get_close_matches(mistake[2], known, n=1)
            hint = f"did you mean '{closest[0]}'?" if closest else f"choose from {', '.join(known)}"
            message = f"there is no {kind} '{mistake[2]}'; {hint}"
        raise _UsageError(f"{message} (see `{self.prog} --help`)")


def create_sparkctl_parser() -> argparse.ArgumentParser:
    """The whole command line; completions are generated from it."""
    parser = _Parser(
        prog="sparkctl",
        description="Watch and control sparkd, the inference server of this machine.",
        epilog=_render_exit_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_create_global_parser()],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sparkctl {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)

    define_live_commands(lambda name, purpose: _define_command(commands, name, purpose))
    _add_model_argument(_define_command(commands, "plan", "show what a request for a model would do now"))
    _add_model_argument(_define_command(commands, "load", "load a model and wait until it is ready"))
    _add_model_argument(_define_command(commands, "stop", "let a model finish its responses, then stop it"))
    _define_hold_commands(commands)
    _add_model_argument(_define_command(commands, "retry", "allow a failed model to start again at once"))
    define_logs(
        _define_command(commands, "logs", "print sparkd's own lines, or the output of a model's engine")
    )
    define_capture(
        _define_command(
            commands, "capture", "keep what the requests of one client or model contain, for minutes"
        )
    )
    _define_add(
        _define_command(commands, "add", "add a model: derive its entry from its files; needs no daemon")
    )
    _define_command(commands, "reload", "reload the catalogue; an error in it changes nothing")
    metrics = _define_command(commands, "metrics", "print the metrics of sparkd, as Prometheus reads them")
    metrics.add_argument("--engines", action="store_true", help="those of the ready engines instead")
    define_usage_commands(lambda name, purpose: _define_command(commands, name, purpose))
    define_edit_commands(lambda name, purpose: _define_command(commands, name, purpose))
    _define_command(
        commands, "reexec", "replace the running sparkd with the installed one; engines keep running"
    )
    _define_disk_commands(commands)
    _define_check(
        _define_command(commands, "check", "read the catalogue and report every problem; needs no daemon")
    )
    _define_command(
        commands,
        "doctor",
        "check the catalogue, the daemon and the machine, and suggest fixes; needs no daemon",
    )
    _define_explain(
        _define_command(
            commands,
            "explain",
            "show how a request (JSON on stdin) is rewritten for its model; needs no daemon",
        )
    )
    _define_runtime(
        _define_command(commands, "runtime", "manage the virtualenvs that engines run in; needs no daemon")
    )
    _define_client(
        _define_command(
            commands, "client", "print or write the configuration of a client program; needs no daemon"
        )
    )
    _define_completion(
        _define_command(
            commands, "completion", "print a completion script for sparkctl and sparkd; needs no daemon"
        )
    )
    _define_demo(
        _define_command(
            commands, "demo", "get a first response from a real model, with nothing installed before"
        )
    )
    return parser


def _define_hold_commands(commands: argparse._SubParsersAction[_Parser]) -> None:
    """Commands for holds."""
    hold = _define_command(commands, "hold", "load a model and keep it loaded for a time")
    _add_model_argument(hold)
    time = hold.add_mutually_exclusive_group(required=True)
    time.add_argument(
        "--for", dest="seconds", type=parse_duration, metavar="TIME", help="how long, such as 2h or 90m"
    )
    time.add_argument(
        "--until", dest="seconds", type=parse_until, metavar="TIME", help="until when, such as 18:00"
    )
    hold.add_argument("--job", default="", metavar="TEXT", help="what the model is needed for")
    hold.add_argument("--reason", default="", metavar="TEXT", help="why others must wait; they read it")
    _define_command(commands, "holds", "list the holds: who keeps which model loaded, until when and why")
    release = _define_command(commands, "release", "end a hold")
    release.add_argument("hold", metavar="HOLD", help="id of a hold, see `sparkctl holds`")


def _define_disk_commands(commands: argparse._SubParsersAction[_Parser]) -> None:
    """Commands for models on disk."""
    pull = _define_command(commands, "pull", "download what models need, or the missing part of it")
    pull.add_argument("models", nargs="+", metavar="MODEL", help="model id or alias")
    pull.add_argument("--verify", action="store_true", help="read existing files again and verify them")
    models = _define_command(
        commands, "models", "list what is on disk for every model, and what no model needs"
    )
    models.add_argument("-a", "--all", action="store_true", help="include disabled models")
    remove = _define_command(commands, "rm", "delete a model's files from the disk")
    remove.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")
    _add_model_argument(remove)


def _create_global_parser() -> _Parser:
    # SUPPRESS: these are allowed before and after the command, and its defaults must not undo what came before.
    parent = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    parent.add_argument(
        "--json", action="store_true", help="print results as JSON on stdout, errors on stderr"
    )
    parent.add_argument(
        "--socket",
        metavar="PATH",
        help="control socket of the daemon (default: SPARKD_SOCKET, or from the catalogue)",
    )
    parent.add_argument(
        "--catalogue",
        metavar="PATH",
        help="catalogue file (default: SPARKD_CATALOGUE, ./models.toml or /etc/sparkd/models.toml)",
    )
    return parent


def _define_command(commands: argparse._SubParsersAction[_Parser], name: str, purpose: str) -> _Parser:
    return commands.add_parser(
        name,
        help=purpose,
        description=f"{purpose[0].upper()}{purpose[1:]}.",
        parents=[_create_global_parser()],
    )


def _define_client(client: _Parser) -> None:
    client.add_argument(
        "client",
        nargs="?",
        metavar="CLIENT",
        choices=tuple(PURPOSES),
        help="a client program; without it, list them",
    )
    client.add_argument(
        "--url", metavar="URL", help="address at which the client reaches sparkd, such as http://spark:8009"
    )
    client.add_argument("--model", metavar="MODEL", help="the main model (default: the best for code)")
    client.add_argument(
        "--key", metavar="KEY", help="put this API key into the configuration; - reads it from stdin"
    )
    client.add_argument("--write", action="store_true", help="merge the configuration into the client's file")
    client.add_argument("--file", metavar="PATH", help="another place for the client's (first) file")


def _add_model_argument(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", metavar="MODEL", help="model id or alias")


def _define_explain(explain: _Parser) -> None:
    explain.add_argument(
        "--api",
        choices=("chat", "completions", "responses", "messages"),
        default="chat",
        help="API of the request: /v1/chat/completions (chat) or another",
    )
    _add_model_argument(explain)


def _define_completion(completion: _Parser) -> None:
    completion.add_argument(
        "what",
        choices=("bash", "zsh", "fish", "models", "runtimes"),
        metavar="SHELL",
        help="bash, zsh or fish; models or runtimes print the names that the scripts ask for",
    )


def _define_demo(demo: _Parser) -> None:
    demo.add_argument(
        "--port", type=parse_port, default=8009, metavar="N", help="port that sparkd listens on (8009)"
    )
    demo.add_argument("--once", action="store_true", help="exit after the first response")


def _define_check(check: _Parser) -> None:
    check.add_argument(
        "--runtime", action="store_true", help="check the models' flags with the runtimes' own parsers"
    )
    check.add_argument(
        "models", nargs="*", metavar="MODEL", help="with --runtime: check only these, disabled or not"
    )
    check.add_argument("-a", "--all", action="store_true", help="with --runtime: include disabled models")
    check.add_argument(
        "--stand-in",
        action="append",
        default=[],
        metavar="[NAME=]OTHER",
        help="with --runtime: use runtime OTHER if runtime NAME (or any) is not built",
    )


def _define_add(add: argparse.ArgumentParser) -> None:
    add.add_argument("source", metavar="SOURCE", help="a repository `org/name`, or a folder (/… or ./…)")
    add.add_argument("--id", metavar="ID", help="model id (default: its name in lower case)")
    add.add_argument(
        "--runtime", metavar="NAME", help="a folder of `paths.venvs` (default: vllm with a GPU, cpu without)"
    )
    add.add_argument("--family", metavar="NAME", help="a table [families.NAME], with parsers and rewriting")
    add.add_argument("--context", type=parse_tokens, metavar="TOKENS", help="`context_length`")
    add.add_argument("--memory", type=parse_size_argument, metavar="SIZE", help='`memory`, such as "20 GiB"')
    add.add_argument(
        "--revision", metavar="NAME", help="branch, tag or commit of the repository (default: main)"
    )
    add.add_argument(
        "--trust-remote-code", action="store_true", help="allow code from the repository to run here"
    )
    add.add_argument("--dry-run", action="store_true", help="print the entry, write nothing")
    add.add_argument("-y", "--yes", action="store_true", help="write it without confirmation")


def _define_runtime(runtime: _Parser) -> None:
    actions = runtime.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=_Parser)
    build = _define_command(actions, "build", "build runtimes, verify them and put them into use")
    build.add_argument("names", nargs="+", metavar="NAME", help="a folder of `paths.venvs`")
    list_builds = _define_command(
        actions, "list", "list runtimes and their builds: which is in use, date and size"
    )
    list_builds.add_argument("names", nargs="*", metavar="NAME", help="list only these")
    rollback = _define_command(actions, "rollback", "return to the previous build")
    rollback.add_argument("runtime", metavar="NAME", help="a folder of `paths.venvs`")
    prune = _define_command(
        actions, "prune", "remove old builds; keep the current and the previous one of each runtime"
    )
    prune.add_argument("--all", action="store_true", help="keep only the current ones")


def _render_exit_codes() -> str:
    return "\n".join(
        ["exit codes:", *(f"  {code:<4} {meaning}" for code, meaning in exit_codes.MEANINGS.items())]
    )
