"""Applies to every test."""

import os
import signal

from hypothesis import HealthCheck, settings

# Other programs on the machine can make any example slow.
# Where CI is set, the examples are always the same: a change must not fail because of what it did not touch.
settings.register_profile(
    "sparkd",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("sparkd")

# A non-interactive shell starts `pytest &` with SIGINT and SIGQUIT ignored, nohup(1) with SIGHUP, and every process
# that a test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGQUIT, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
