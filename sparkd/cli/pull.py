"""`sparkctl pull MODEL…`: download what models need.

Whoever may write the models' folder does it here; root does it as the folder's owner. Anybody else asks the daemon.
Under systemd the service reaches no network by itself, while `sudo sparkctl pull` is no part of it.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.cli import exits
from sparkd.cli.files import catalogue_of, fetch, is_absent, is_terminal
from sparkd.cli.folders import is_ours
from sparkd.cli.output import note, say, say_json
from sparkd.cli.terminal import err
from sparkd.cli.wording import duration
from sparkd.control.client import ControlClient, find_socket
from sparkd.errors import DaemonUnreachable, SparkdError
from sparkd.hub import reading
from sparkd.hub.ordering import order_for
from sparkd.hub.telling import Done, Progress, amount

LOOK_EVERY = 0.5
"""Seconds between two looks at a download of the daemon's."""

LINES_EVERY = 15.0
"""Seconds between two lines where nobody watches: a log of a night's download stays readable."""

Follow = Callable[[Progress], None]


def run(arguments: argparse.Namespace) -> int:
    """Download them one after the other. What has arrived stays when it ends early."""
    catalogue = catalogue_of(arguments.catalogue)
    for model in [catalogue.find(name) for name in arguments.models]:
        done = _pull(catalogue, model, arguments)
        if arguments.json:
            say_json({"id": model.id, "fetched": done.fetched, "commits": done.commits, "notes": done.notes})
            continue
        for told in done.notes:
            note(told)
        arrived = f", {amount(done.fetched)} downloaded" if done.fetched else ""
        say(f"{model.id} is on disk and whole{arrived}")
    return exits.DONE


def _pull(catalogue: Catalogue, model: Model, arguments: argparse.Namespace) -> Done:
    folder = catalogue.folder("models")
    order = order_for(model, folder, catalogue.folder("state"), verify=arguments.verify)
    if not order.sources and not order.encodings:
        return _nothing_to_fetch(model, folder)
    with _following(model.id) as follow:
        if is_ours(folder):
            return fetch(order, follow)
        return _ask_daemon(find_socket(arguments.socket, arguments.catalogue), model, folder, follow)


def _nothing_to_fetch(model: Model, folder: Path) -> Done:
    for part in reading.look(model, folder):
        if part.state != "whole":
            lacks = f"lacks {', '.join(part.missing)}" if part.missing else "is not there"
            raise SparkdError(f"{part.source} {lacks}; it is a folder of your own, which nobody downloads.")
    return Done()


def _ask_daemon(socket: Path, model: Model, folder: Path, follow: Follow) -> Done:
    over = threading.Event()

    def look() -> None:
        with ControlClient(socket) as client:
            while not over.wait(LOOK_EVERY):
                try:
                    status = client.model(model.id)
                except SparkdError:
                    return  # the order itself fails of the same, and says so
                follow(_progress(status.progress, status.download_left))

    looking = threading.Thread(target=look, daemon=True)
    try:
        with ControlClient(socket) as client:
            looking.start()
            client.pull(model.id)
    except DaemonUnreachable as error:
        if not is_absent(error):
            raise
        who = f"{folder} is another user's, and no daemon runs that could download for you"
        text = f"{who}: `sudo sparkctl pull {model.id}`"
        raise DaemonUnreachable(text) from error
    finally:
        over.set()
    return Done(notes=("The daemon has downloaded it.",))


def _progress(share: float | None, left: float | None) -> Progress:
    return Progress(
        step="fetching",
        done=round((share or 0.0) * 1e6),
        total=1_000_000 if share is not None else 0,
        left=left,
    )


@contextmanager
def _following(name: str) -> Iterator[Follow]:
    """Show how far it is: in place on a terminal, as lines now and then elsewhere."""
    if is_terminal():
        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}")
        with Bar(*columns, console=err()) as bar:
            task = bar.add_task(name, total=None, told="")
            yield lambda progress: bar.update(
                task, completed=progress.done, total=progress.total or None, told=_told(progress)
            )
        return
    last = -LINES_EVERY

    def write(progress: Progress) -> None:
        nonlocal last
        if progress.total and time.monotonic() - last >= LINES_EVERY:
            last = time.monotonic()
            note(f"{name}: {_told(progress)}")

    yield write


_STEPS = {
    "asking": "asking the hub",
    "waiting": "another process downloads it",
    "fetching": "downloading",
    "verifying": "reading it again",
}


def _told(progress: Progress) -> str:
    words = _STEPS[progress.step]
    if progress.total:
        words += f", {progress.share or 0:.0%}".replace("%", " %") + f" of {amount(progress.total)}"
    return words + (f", {duration(progress.left)} left" if progress.left is not None else "")
