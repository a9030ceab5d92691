"""`python -m sparkd.cli.doctor CATALOGUE < status.json`: the checks for the daemon, which passes its own status.

The daemon may not open its own control socket: only root may, because engines run as the daemon's user.
"""

from __future__ import annotations

import sys

import msgspec

from sparkd.cli.doctor.checks import run_checks
from sparkd.cli.doctor.inspection import inspect_system
from sparkd.cli.output.messages import print_json
from sparkd.scheduling.status import Status

if __name__ == "__main__":
    status = msgspec.json.decode(sys.stdin.buffer.read(), type=Status)
    print_json(run_checks(inspect_system(sys.argv[1], None, status)))
