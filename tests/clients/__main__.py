"""`python -m tests.clients`: installs the client programs."""

import sys

from sparkd.runtimes.programs import ProgramFailed
from tests.clients.installing import install_all

try:
    install_all(print)
except ProgramFailed as failure:
    sys.exit(failure.describe("error: cannot install the client programs"))
