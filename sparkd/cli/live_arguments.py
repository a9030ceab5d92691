"""The command line of what is seen while it happens: `status`, `top`, `ui` and `cancel`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from sparkd.cli.argument_types import parse_port, parse_seconds

DefineCommand = Callable[[str, str], argparse.ArgumentParser]
"""Adds a command with a name and a purpose."""


def define_live_commands(define: DefineCommand) -> None:
    """Add these commands."""
    _define_status(define("status", "show running models, waiting requests and free memory"))
    define("top", "watch and control models and requests with keys, until q")
    ui = define("ui", "give the page of this machine an address for your browser, until Ctrl-C")
    ui.add_argument("--port", type=parse_port, metavar="N", help="port of localhost (8010, or a free one)")
    ui.add_argument("--open", action="store_true", help="open the page in your browser")
    cancel = define("cancel", "end requests in flight, or requests that wait")
    cancel.add_argument(
        "requests", nargs="+", metavar="ID", help="id of a request, see `sparkctl top` or its x-request-id"
    )


def _define_status(status: argparse.ArgumentParser) -> None:
    status.add_argument("model", nargs="?", metavar="MODEL", help="show only this model")
    status.add_argument("-a", "--all", action="store_true", help="include disabled models")
    status.add_argument(
        "-w", "--watch", action="store_true", help="show a live screen (elsewhere: repeat) until Ctrl-C"
    )
    status.add_argument(
        "--interval", type=parse_seconds, default=1.0, metavar="SECONDS", help="interval with --watch (1)"
    )
