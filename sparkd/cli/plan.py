"""`sparkctl plan MODEL`: what would happen if somebody asked for a model now."""

from __future__ import annotations

import argparse

from sparkd.cli import exits
from sparkd.cli.output import say, say_json
from sparkd.cli.wording import duration, size
from sparkd.control.client import ControlClient, find_socket
from sparkd.scheduling.plan import Plan


def run(arguments: argparse.Namespace) -> int:
    """Print what the scheduler would decide. Nothing is started or stopped."""
    with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
        plan = client.plan(arguments.model)
    if arguments.json:
        say_json(plan)
    else:
        for line in lines(plan):
            say(line)
    return exits.NOT_NOW if plan.verdict == "refused" or plan.lacks else exits.DONE


def lines(plan: Plan) -> list[str]:
    """The plan in sentences."""
    verdict = f"{plan.model} {_verdict(plan)}"
    said = [*plan.lacks, f"with that done: {verdict}"] if plan.lacks else [verdict]
    if plan.before:
        said.append(f"launched before it: {', '.join(plan.before)}")
    if plan.evicts:
        said.append(f"stopped for it: {', '.join(plan.evicts)}")
    said.append(f"memory: {size(plan.footprint)} ({plan.basis})")
    if plan.load_time is not None:
        said.append(f"its start takes about {duration(plan.load_time)}")
    return said


def _verdict(plan: Plan) -> str:
    match plan.verdict:
        case "ready":
            return "is ready"
        case "refused":
            return f"would be refused: {plan.why}"
        case "unknown":
            return f"would have to wait, nobody knows how long: {plan.why}"
        case _:
            begun = "is starting" if plan.verdict == "starting" else "would be launched"
            when = "" if plan.seconds is None else f", and answer in about {duration(plan.seconds)}"
            return f"{begun}{when}"
