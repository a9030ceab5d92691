"""`sparkctl cancel ID…`: end requests in flight."""

from __future__ import annotations

import argparse

from sparkd.cli import exit_codes
from sparkd.cli.output.formatting import format_count
from sparkd.cli.output.messages import print_error, print_json, print_line
from sparkd.control.client import ControlClient, find_socket
from sparkd.errors import DaemonError
from sparkd.usage.active import ActiveRequest


def run(arguments: argparse.Namespace) -> int:
    """End each request, and print what it did until then. One that has ended already does not keep the others."""
    code = exit_codes.SUCCESS
    with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
        for request_id in arguments.requests:
            try:
                ended = client.cancel_request(request_id)
            except DaemonError as error:
                print_error(error, as_json=arguments.json)
                code = exit_codes.exit_code_for(error)
                continue
            for row in ended:
                if arguments.json:
                    print_json(row)
                else:
                    print_line(_describe(row))
    return code


def _describe(row: ActiveRequest) -> str:
    tokens = "" if row.tokens_out is None else f", {format_count(row.tokens_out, 'token')} so far"
    return f"request {row.id} of {row.client} to {row.model} is cancelled ({row.phase}{tokens})"
