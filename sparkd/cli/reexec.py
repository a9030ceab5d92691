"""`sparkctl reexec`: replace the running sparkd with the installed one."""

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
"""Seconds between two status requests."""

MAX_SILENCE = 15.0
"""Seconds without a daemon before this is an error: a failed service has restarted by then."""


def run(arguments: argparse.Namespace) -> int:
    """Replace the daemon and wait until it is done. Ctrl-C ends the wait, not the replacement."""
    socket = find_socket(arguments.socket, arguments.catalogue)
    with ControlClient(socket) as client:
        before = client.reexec()
    in_flight = sum(model.in_flight + model.waiting for model in before.models)
    if in_flight:
        print_note(f"sparkd {before.version} first finishes its requests: {in_flight} in flight")
    after = _wait_until_replaced(socket, before)
    if arguments.json:
        print_json(after)
    return _report(before, after, quiet=arguments.json)


def _wait_until_replaced(socket: Path, before: Status) -> Status:
    """The status once the outcome is known. Raises DaemonUnreachable if no daemon responds for long."""
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
            if status.replacements != before.replacements or status.pid != before.pid or not status.replacing:
                return status
        time.sleep(POLL_INTERVAL)


def _report(before: Status, after: Status, *, quiet: bool) -> int:
    if after.pid != before.pid:
        print_note(
            "the new sparkd failed, and systemd restarted the service without its engines; "
            "for the reason, run `journalctl -u sparkd`"
        )
        return exit_codes.FAILED
    if after.replacements == before.replacements:
        print_note(f"sparkd {after.version} was not replaced: a model took too long to stop; try again")
        return exit_codes.TRY_LATER
    resident = [model.id for model in after.models if model.pid is not None]
    if not quiet:
        going_on = f"; {' and '.join(resident)} kept running" if resident else ""
        print_line(f"sparkd {after.version} has replaced {before.version} (PID {after.pid}){going_on}.")
    return exit_codes.SUCCESS
