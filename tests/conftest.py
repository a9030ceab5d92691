"""What holds for every test."""

import signal

from hypothesis import HealthCheck, settings

# Other programs on the machine can make any example slow.
settings.register_profile("sparkd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sparkd")

# A shell that is no person's starts `pytest &` with SIGINT ignored, and whatever we start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
