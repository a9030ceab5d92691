"""`sparkctl doctor`: look over catalogue, daemon and machine, and say of each what mends it."""

from __future__ import annotations

import argparse

from sparkd.cli import exits
from sparkd.cli.doctor_checks import examine
from sparkd.cli.doctor_facts import Finding
from sparkd.cli.doctor_look import look
from sparkd.cli.output import say, say_json


def run(arguments: argparse.Namespace) -> int:
    """Print a line per finding; fail when one of them is wrong. Warnings are none of that."""
    findings = examine(look(arguments.catalogue, arguments.socket))
    if arguments.json:
        say_json(findings)
    else:
        for line in _lines(findings):
            say(line)
    return exits.FAILED if any(finding.level == "wrong" for finding in findings) else exits.DONE


def _lines(findings: list[Finding]) -> list[str]:
    width = max(len(finding.check) for finding in findings)
    return [f"{finding.level:<7}  {finding.check:<{width}}  {_told(finding)}" for finding in findings]


def _told(finding: Finding) -> str:
    """What was found and what mends it, on one line: why an engine failed may be several."""
    told = f"{finding.found}; {finding.mend}" if finding.mend else finding.found
    return " ".join(told.split())
