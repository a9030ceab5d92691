"""`sparkctl metrics`: print the metrics of sparkd or of the engines."""

from __future__ import annotations

import argparse

from sparkd.cli import exit_codes
from sparkd.cli.output.messages import print_json, print_line
from sparkd.control.client import ControlClient, find_socket


def run(arguments: argparse.Namespace) -> int:
    """Print the text that Prometheus reads. `--json`: one object per sample, with name, labels and value."""
    with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
        lines = client.metrics(engines=arguments.engines)
    if arguments.json:
        _print_samples("\n".join(lines))
    else:
        for line in lines:
            print_line(line)
    return exit_codes.SUCCESS


def _print_samples(text: str) -> None:
    # Imported late: only this needs it, and it takes 80 ms.
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415

    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            print_json({"name": sample.name, "labels": sample.labels, "value": sample.value})
