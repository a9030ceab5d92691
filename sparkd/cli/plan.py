"""`sparkctl plan MODEL`: what would happen if somebody asked for a model now."""

from __future__ import annotations

import argparse

from sparkd.cli import exit_codes
from sparkd.cli.output.formatting import format_duration, format_size
from sparkd.cli.output.messages import print_json, print_line
from sparkd.control.client import ControlClient, find_socket
from sparkd.scheduling.plan import Plan


def run(arguments: argparse.Namespace) -> int:
    """Print what the scheduler would decide. Nothing is started or stopped."""
    with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
        plan = client.plan(arguments.model)
    if arguments.json:
        print_json(plan)
    else:
        for line in render_plan(plan):
            print_line(line)
    return exit_codes.TRY_LATER if plan.verdict == "refused" or plan.lacks else exit_codes.SUCCESS


def render_plan(plan: Plan) -> list[str]:
    """The plan in sentences."""
    verdict = f"{plan.model} {_describe_verdict(plan)}"
    lines = [*plan.lacks, f"with that done: {verdict}"] if plan.lacks else [verdict]
    if plan.before:
        lines.append(f"launched before it: {', '.join(plan.before)}")
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
            return f"would be refused: {plan.why}"
        case "unknown":
            return f"would have to wait, nobody knows how long: {plan.why}"
        case _:
            start = "is starting" if plan.verdict == "starting" else "would be launched"
            when = "" if plan.seconds is None else f", and answer in about {format_duration(plan.seconds)}"
            return f"{start}{when}"
