"""`sparkctl doctor`: look over catalogue, daemon and machine, and say of each what mends it."""

from __future__ import annotations

import argparse

from sparkd.cli import exit_codes
from sparkd.cli.doctor.checks import run_checks
from sparkd.cli.doctor.facts import Finding
from sparkd.cli.doctor.inspection import inspect_system
from sparkd.cli.output.messages import print_json, print_line


def run(arguments: argparse.Namespace) -> int:
    """Print a line per finding; fail when one of them is wrong. Warnings are none of that."""
    findings = run_checks(inspect_system(arguments.catalogue, arguments.socket))
    if arguments.json:
        print_json(findings)
    else:
        for line in _render_findings(findings):
            print_line(line)
    return exit_codes.FAILED if any(finding.level == "wrong" for finding in findings) else exit_codes.SUCCESS


def _render_findings(findings: list[Finding]) -> list[str]:
    width = max(len(finding.check) for finding in findings)
    return [
        f"{finding.level:<7}  {finding.check:<{width}}  {_render_finding(finding)}" for finding in findings
    ]


def _render_finding(finding: Finding) -> str:
    """What was found and what mends it, on one line: why an engine failed may be several."""
    text = f"{finding.found}; {finding.mend}" if finding.mend else finding.found
    return " ".join(text.split())
