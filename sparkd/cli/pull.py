"""`sparkctl pull MODEL…`: download what models need.

A user with write access to the models folder downloads here; root downloads as the folder's owner. Other users ask the
daemon. Under systemd, the service has no network access; `sudo sparkctl pull` runs outside the service.
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
from sparkd.cli import exit_codes
from sparkd.cli.output.formatting import format_duration
from sparkd.cli.output.messages import print_json, print_line, print_note
from sparkd.cli.output.terminal import stderr_console
from sparkd.cli.storage.downloads import fetch, is_not_running, is_terminal, load_catalogue
from sparkd.cli.storage.folders import is_writable
from sparkd.control.client import ControlClient, find_socket
from sparkd.errors import DaemonUnreachable, SparkdError
from sparkd.hub import inspection
from sparkd.hub.messages import Done, Progress, format_bytes
from sparkd.hub.request import make_request

POLL_INTERVAL = 0.5
"""Seconds between two status requests for a download by the daemon."""

LINE_INTERVAL = 15.0
"""Seconds between two lines without a terminal, so that the log of a long download stays readable."""

ReportProgress = Callable[[Progress], None]


def run(arguments: argparse.Namespace) -> int:
    """Download one model after the other. If interrupted, keeps what has arrived."""
    catalogue = load_catalogue(arguments.catalogue)
    for model in [catalogue.find(name) for name in arguments.models]:
        done = _pull(catalogue, model, arguments)
        if arguments.json:
            print_json(
                {"id": model.id, "downloaded": done.downloaded, "commits": done.commits, "notes": done.notes}
            )
            continue
        for note in done.notes:
            print_note(note)
        arrived = f", {format_bytes(done.downloaded)} downloaded" if done.downloaded else ""
        print_line(f"{model.id} is complete on disk{arrived}")
    return exit_codes.SUCCESS


def _pull(catalogue: Catalogue, model: Model, arguments: argparse.Namespace) -> Done:
    folder = catalogue.folder("models")
    order = make_request(model, folder, catalogue.folder("state"), verify=arguments.verify)
    if not order.sources and not order.encodings:
        return _check_local_folder(model, folder)
    with _show_progress(model.id) as report_progress:
        if is_writable(folder):
            return fetch(order, report_progress)
        return _pull_through_daemon(
            find_socket(arguments.socket, arguments.catalogue), model, folder, report_progress
        )


def _check_local_folder(model: Model, folder: Path) -> Done:
    for part in inspection.inspect_model(model, folder):
        if part.state != "complete":
            problem = f"lacks {', '.join(part.missing)}" if part.missing else "does not exist"
            raise SparkdError(
                f"{part.source} {problem}; it is your own folder, so sparkd does not download it."
            )
    return Done()


def _pull_through_daemon(socket: Path, model: Model, folder: Path, report_progress: ReportProgress) -> Done:
    finished = threading.Event()

    def poll() -> None:
        with ControlClient(socket) as client:
            while not finished.wait(POLL_INTERVAL):
                try:
                    status = client.model(model.id)
                except SparkdError:
                    return  # the download itself fails too and reports the error
                report_progress(_make_progress(status.progress, status.download_seconds_left))

    poller = threading.Thread(target=poll, daemon=True)
    try:
        with ControlClient(socket) as client:
            poller.start()
            client.pull(model.id)
    except DaemonUnreachable as error:
        if not is_not_running(error):
            raise
        problem = f"{folder} belongs to another user, and no daemon is running that could download for you"
        text = f"{problem}: `sudo sparkctl pull {model.id}`"
        raise DaemonUnreachable(text) from error
    finally:
        finished.set()
    return Done(notes=("The daemon downloaded it.",))


def _make_progress(share: float | None, seconds_left: float | None) -> Progress:
    return Progress(
        step="downloading",
        done=round((share or 0.0) * 1e6),
        total=1_000_000 if share is not None else 0,
        seconds_left=seconds_left,
    )


@contextmanager
def _show_progress(name: str) -> Iterator[ReportProgress]:
    """Show progress: in place on a terminal, as a line every LINES_EVERY seconds elsewhere."""
    if is_terminal():
        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}")
        with Bar(*columns, console=stderr_console()) as bar:
            task = bar.add_task(name, total=None, text="")
            yield lambda progress: bar.update(
                task, completed=progress.done, total=progress.total or None, text=_describe_progress(progress)
            )
        return
    last = -LINE_INTERVAL

    def write(progress: Progress) -> None:
        nonlocal last
        if progress.total and time.monotonic() - last >= LINE_INTERVAL:
            last = time.monotonic()
            print_note(f"{name}: {_describe_progress(progress)}")

    yield write


_STEPS = {
    "listing": "asking the hub",
    "waiting": "waiting for another process that downloads it",
    "downloading": "downloading",
    "verifying": "verifying",
}


def _describe_progress(progress: Progress) -> str:
    text = _STEPS[progress.step]
    if progress.total:
        text += f", {progress.share or 0:.0%}".replace("%", " %") + f" of {format_bytes(progress.total)}"
    return text + (
        f", {format_duration(progress.seconds_left)} left" if progress.seconds_left is not None else ""
    )
