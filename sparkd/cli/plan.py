"""`sparkctl plan MODEL`: show what a request for a model would do now."""

from __future__ import annotations

import argparse

from sparkd.cli import exit_codes
from sparkd.cli.output.formatting import format_duration, format_size
from sparkd.cli.output.messages import print_json, print_line
from sparkd.control.client import ControlClient, find_socket
from sparkd.scheduling.plan import Plan


def run(arguments: argparse.Namespace) -> int:
    """Print what the scheduler would decide. Starts and stops nothing."""
    with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
        plan = client.plan(arguments.model)
    if arguments.json:
        print_json(plan)
    else:
        for line in render_plan(plan):
            print_line(line)
    return exit_codes.TRY_LATER if plan.verdict == "refused" or plan.missing else exit_codes.SUCCESS


def render_plan(plan: Plan) -> list[str]:
    """The plan as sentences."""
    verdict = f"{plan.model} {_describe_verdict(plan)}"
    lines = [*plan.missing, f"then {verdict}"] if plan.missing else [verdict]
    if plan.launched_before:
        lines.append(f"launched before it: {', '.join(plan.launched_before)}")
    if plan.evicts:
        lines.append(f"stopped for it: {', '.join(plan.evicts)}")
    lines.append(f"memory: {format_size(plan.footprint)} ({plan.basis})")
    if plan.load_time is not None:
        lines.append(f"its start takes about {format_duration(plan.load_time)}")
    return lines


def _describe_verdict(plan: Plan) -> str:
    match plan.verdict:
        case "ready":
            return "is ready"
        case "refused":
            return f"would be rejected: {plan.reason}"
        case "unknown":
            return f"would wait for an unknown time: {plan.reason}"
        case _:
            start = "is loading" if plan.verdict == "starting" else "would be loaded"
            when = "" if plan.seconds is None else f"; ready in about {format_duration(plan.seconds)}"
            return f"{start}{when}"
