"""`sparkctl logs [MODEL]`: print sparkd's own lines, or the output of a model's engine."""

from __future__ import annotations

import argparse
import time

from sparkd.cli import exit_codes
from sparkd.cli.output.formatting import format_small_size
from sparkd.cli.output.messages import print_json, print_line, print_note
from sparkd.control.client import ControlClient, find_socket
from sparkd.errors import InvalidRequest
from sparkd.journal.lines import LineFilter, LogLine
from sparkd.processes.log import CONTROL_PICTURES


def run(arguments: argparse.Namespace) -> int:
    """Print the last lines; with `--follow`, continue until the process ends. `--json`: one object per line.

    Raises InvalidRequest for options that do not go together.
    """
    _check(arguments)
    with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
        if arguments.model is None:
            _print_own_lines(client, arguments)
        elif arguments.runs:
            _print_files(client, arguments)
        else:
            _print_engine_lines(client, arguments)
    return exit_codes.SUCCESS


def _check(arguments: argparse.Namespace) -> None:
    own, engine = (arguments.level or arguments.event), (arguments.runs or arguments.run)
    if arguments.model is not None and own:
        raise InvalidRequest(
            "--level and --event select lines of sparkd itself; name no model, or leave them out"
        )
    if arguments.model is None and engine:
        raise InvalidRequest("--runs and --run are about the runs of a model; name one")
    if arguments.run and arguments.follow:
        raise InvalidRequest("--run prints a file, which does not grow; leave out --follow")


def _print_own_lines(client: ControlClient, arguments: argparse.Namespace) -> None:
    wanted = LineFilter(level=arguments.level or "debug", event=arguments.event or "")
    for line in client.own_lines(wanted, lines=arguments.lines, follow=arguments.follow):
        if arguments.json:
            print_json(line)
        else:
            print_line(format_line(line))


def format_line(line: LogLine) -> str:
    """The line as sparkd writes it to a terminal, without control characters but line ends."""
    clock = time.strftime("%H:%M:%S", time.localtime(line.at))
    pictures = {code: picture for code, picture in CONTROL_PICTURES.items() if code != ord("\n")}
    return f"{clock} {line.level.upper():<8} {line.message.translate(pictures)}"


def _print_files(client: ControlClient, arguments: argparse.Namespace) -> None:
    files = client.log_files(arguments.model)
    if arguments.json:
        print_json(files)
        return
    for each in files:
        started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(each.started))
        note = "  the present or last process" if each.current else ""
        print_line(f"{each.file}  {started}  {format_small_size(each.size):>10}{note}")
    if not files:
        print_note(f"there is no log file of {arguments.model}: it has not run yet")


def _print_engine_lines(client: ControlClient, arguments: argparse.Namespace) -> None:
    if arguments.run:
        lines = client.log_file(arguments.model, arguments.run, lines=arguments.lines)
    else:
        lines = client.logs(arguments.model, lines=arguments.lines, follow=arguments.follow)
    for line in lines:
        if arguments.json:
            print_json({"line": line})
        else:
            print_line(line)
    if arguments.follow:
        print_note(f"the process of {arguments.model} has ended")
