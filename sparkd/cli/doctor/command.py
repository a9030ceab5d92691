"""`sparkctl doctor`: check the catalogue, the daemon and the machine, and suggest a fix for each problem."""

from __future__ import annotations

import argparse

from sparkd.cli import exit_codes
from sparkd.cli.doctor.checks import run_checks
from sparkd.cli.doctor.facts import Finding
from sparkd.cli.doctor.inspection import inspect_system
from sparkd.cli.output.messages import print_json, print_line


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each finding; fail if one of them is an error. Warnings do not fail."""
    findings = run_checks(inspect_system(arguments.catalogue, arguments.socket))
    if arguments.json:
        print_json(findings)
    else:
        for line in _render_findings(findings):
            print_line(line)
    return exit_codes.FAILED if any(finding.level == "error" for finding in findings) else exit_codes.SUCCESS


def _render_findings(findings: list[Finding]) -> list[str]:
    width = max(len(finding.check) for finding in findings)
    return [
        f"{finding.level:<7}  {finding.check:<{width}}  {_render_finding(finding)}" for finding in findings
    ]


def _render_finding(finding: Finding) -> str:
    """The finding and its fix on one line: an engine's cause of failure may have several."""
    text = f"{finding.message}; {finding.fix}" if finding.fix else finding.message
    return " ".join(text.split())
