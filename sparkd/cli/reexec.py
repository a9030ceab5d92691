"""`sparkctl reexec`: put the sparkd that is installed now in the place of the one that runs."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from sparkd.cli import exit_codes
from sparkd.cli.output.messages import print_json, print_line, print_note
from sparkd.control.client import ControlClient, find_socket
from sparkd.errors import DaemonUnreachable
from sparkd.scheduling.status import Status

POLL_INTERVAL = 0.1
"""Seconds between two looks at how far it is."""

MAX_SILENCE = 15.0
"""Seconds for which nobody may be there in between: a service that failed is started anew by then."""


def run(arguments: argparse.Namespace) -> int:
    """Replace, and wait until that is done. Ctrl-C ends the waiting and not the order."""
    socket = find_socket(arguments.socket, arguments.catalogue)
    with ControlClient(socket) as client:
        before = client.reexec()
    in_flight = sum(model.in_flight + model.waiting for model in before.models)
    if in_flight:
        print_note(f"sparkd {before.version} first finishes what it has begun: {in_flight} in flight")
    after = _wait_until_replaced(socket, before)
    if arguments.json:
        print_json(after)
    return _report(before, after, quiet=arguments.json)


def _wait_until_replaced(socket: Path, before: Status) -> Status:
    """How things are once it is decided. Raises DaemonUnreachable when nobody answers for long."""
    last_contact = time.monotonic()
    while True:
        try:
            with ControlClient(socket) as client:
                status = client.status()
        except DaemonUnreachable:
            if time.monotonic() - last_contact > MAX_SILENCE:
                raise
        else:
            last_contact = time.monotonic()
            if status.replaced != before.replaced or status.pid != before.pid or not status.replacing:
                return status
        time.sleep(POLL_INTERVAL)


def _report(before: Status, after: Status, *, quiet: bool) -> int:
    if after.pid != before.pid:
        print_note(
            "the new sparkd has failed, and the service was started anew, without its engines; its journal says why"
        )
        return exit_codes.FAILED
    if after.replaced == before.replaced:
        print_note(f"sparkd {after.version} goes on as it is: a model took too long to stop; try again")
        return exit_codes.TRY_LATER
    resident = [model.id for model in after.models if model.pid is not None]
    if not quiet:
        going_on = f"; {' and '.join(resident)} went on" if resident else ""
        print_line(
            f"sparkd {after.version} has taken the place of {before.version} (PID {after.pid}){going_on}."
        )
    return exit_codes.SUCCESS
