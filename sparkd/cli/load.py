"""`sparkctl load MODEL`: make a model ready, and wait until it is."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparkd.cli import exits
from sparkd.cli.output import say, say_json
from sparkd.cli.table import state
from sparkd.cli.terminal import err
from sparkd.cli.wording import duration
from sparkd.control.client import ControlClient, find_socket
from sparkd.errors import SparkdError

LOOK_EVERY = 0.5


def run(arguments: argparse.Namespace) -> int:
    """Load, showing on a terminal how far it is. Ctrl-C takes the order back."""
    socket = find_socket(arguments.socket, arguments.catalogue)
    with ControlClient(socket) as client, _progress(socket, arguments.model):
        model = client.load(arguments.model)
    if arguments.json:
        say_json(model)
    else:
        took = "" if model.load_time is None else f"; its start took {duration(model.load_time)}"
        say(f"{model.id} is ready{took}")
    return exits.DONE


@contextmanager
def _progress(socket: Path, name: str) -> Iterator[None]:
    """Show how far the model is while the block runs; nothing where stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    over, began = threading.Event(), time.monotonic()
    with err().status(name) as shown:

        def look() -> None:
            with ControlClient(socket) as client:
                while not over.wait(LOOK_EVERY):
                    try:
                        model = client.model(name)
                    except SparkdError:
                        return  # the load itself fails of the same, and says so
                    doing = "in line" if model.state == "stopped" else state(model)
                    shown.update(f"{model.id}: {doing}, {duration(time.monotonic() - began)}")

        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        try:
            yield
        finally:
            over.set()
            looking.join(timeout=1.0)
