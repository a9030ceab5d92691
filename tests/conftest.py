"""Applies to every test."""

import signal

from hypothesis import HealthCheck, settings

# Other programs on the machine can make any example slow.
settings.register_profile("sparkd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sparkd")

# A non-interactive shell starts `pytest &` with SIGINT and SIGQUIT ignored, nohup(1) with SIGHUP, and every process
# that a test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGQUIT, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
