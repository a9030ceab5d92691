"""`sparkctl capture`: keep the content of one client's or model's requests for minutes, list it, print it, end that."""

from __future__ import annotations

import argparse
import time

from rich.table import Table

from sparkd.cli import exit_codes
from sparkd.cli.output.formatting import format_duration, format_small_size
from sparkd.cli.output.messages import print_json, print_line, print_note
from sparkd.cli.output.terminal import stdout_console
from sparkd.control.client import ControlClient, find_socket
from sparkd.errors import InvalidRequest
from sparkd.processes.log import CONTROL_PICTURES
from sparkd.usage.captured import LONGEST_MINUTES, CapturedBody, CapturedRequest, CaptureList, CaptureOrder


def run(arguments: argparse.Namespace) -> int:
    """Raises InvalidRequest for options that do not go together."""
    begins = arguments.client is not None or arguments.model is not None
    if sum((begins, arguments.end, arguments.number is not None)) > 1:
        raise InvalidRequest("Begin a capture, end it, or print one request: one at a time.")
    if begins and arguments.seconds > LONGEST_MINUTES * 60:
        raise InvalidRequest(f"A capture lasts at most {LONGEST_MINUTES} minutes.", param="for")
    with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
        if arguments.number is not None:
            _print_request(client.captured(arguments.number), as_json=arguments.json)
        elif begins:
            order = CaptureOrder(arguments.seconds / 60, client=arguments.client, model=arguments.model)
            _print_list(client.capture(order), as_json=arguments.json)
        elif arguments.end:
            _print_list(client.forget_captures(), as_json=arguments.json)
        else:
            _print_list(client.captures(), as_json=arguments.json)
    return exit_codes.SUCCESS


def _print_list(found: CaptureList, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    if found.rule is None:
        print_line("Nothing is captured now.")
    else:
        left = format_duration(max(0.0, found.rule.until - time.time()))
        print_line(f"Captures {found.rule.subject} for another {left}. `sparkctl capture --end` ends that.")
    if not found.requests:
        return
    table = Table(box=None, pad_edge=False)
    for name in ("ID", "ENDED", "CLIENT", "PROGRAM", "MODEL", "ENDPOINT", "STATUS", "RECEIVED", "RESPONSE"):
        table.add_column(name)
    for row in found.requests:
        clock = time.strftime("%H:%M:%S", time.localtime(row.ended))
        sizes = ["-" if size is None else format_small_size(size) for size in (row.received, row.response)]
        facts = (row.client, row.program or "-", row.model, row.endpoint, str(row.status))
        table.add_row(str(row.id), clock, *facts, *sizes)
    stdout_console().print(table)
    print_note("`sparkctl capture ID` prints what a request contains")


def _print_request(captured: CapturedRequest, *, as_json: bool) -> None:
    if as_json:
        print_json(captured)
        return
    print_line(f"{captured.endpoint}, status {captured.status}, {captured.request}")
    bodies = (
        ("received from the client", captured.received),
        ("sent to the engine", captured.sent),
        ("the engine's response", captured.response),
    )
    for title, body in bodies:
        print_line(f"\n== {title}{_describe(body)}")
        if body is not None:
            pictures = {code: picture for code, picture in CONTROL_PICTURES.items() if code != ord("\n")}
            print_line(body.text.translate(pictures))


def _describe(body: CapturedBody | None) -> str:
    if body is None:
        return ": nothing"
    return f", {format_small_size(body.size)}{', cut' if body.cut else ''}"
