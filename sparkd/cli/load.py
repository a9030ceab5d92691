"""`sparkctl load MODEL`: load a model and wait until it is ready."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparkd.cli import exit_codes
from sparkd.cli.output.formatting import format_duration
from sparkd.cli.output.messages import print_json, print_line
from sparkd.cli.output.status_table import describe_state
from sparkd.cli.output.terminal import stderr_console
from sparkd.control.client import ControlClient, find_socket
from sparkd.errors import SparkdError
from sparkd.scheduling.forecast_text import describe_forecast
from sparkd.scheduling.status import ModelStatus

POLL_INTERVAL = 0.5


def run(arguments: argparse.Namespace) -> int:
    """Load the model, with progress on a terminal. Ctrl-C cancels it."""
    socket = find_socket(arguments.socket, arguments.catalogue)
    with ControlClient(socket) as client, _show_progress(socket, arguments.model):
        model = client.load(arguments.model)
    if arguments.json:
        print_json(model)
    else:
        took = "" if model.load_time is None else f" (started in {format_duration(model.load_time)})"
        print_line(f"{model.id} is ready{took}")
    return exit_codes.SUCCESS


def _describe_activity(model: ModelStatus) -> str:
    """What the load waits for, and for how long yet."""
    if model.forecast is not None:
        return describe_forecast(model.forecast)
    return f"{model.id}: {'waiting in the queue' if model.state == 'stopped' else describe_state(model)}"


@contextmanager
def _show_progress(socket: Path, name: str) -> Iterator[None]:
    """Show the model's progress while the block runs, if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    finished, started_at = threading.Event(), time.monotonic()
    with stderr_console().status(name) as display:

        def poll() -> None:
            with ControlClient(socket) as client:
                while not finished.wait(POLL_INTERVAL):
                    try:
                        model = client.model(name)
                    except SparkdError:
                        return  # the load itself fails too and reports the error
                    waited = format_duration(time.monotonic() - started_at)
                    display.update(f"{_describe_activity(model)} ({waited} so far)")

        poller = threading.Thread(target=poll, daemon=True)
        poller.start()
        try:
            yield
        finally:
            finished.set()
            poller.join(timeout=1.0)
