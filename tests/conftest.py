"""Applies to every test."""

import signal

# A non-interactive shell starts `pytest &` with SIGINT ignored, and every process that a test starts would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)
