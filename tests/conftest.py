"""What holds for every test."""

import signal

# A shell that is no person's starts `pytest &` with SIGINT ignored, and whatever we start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
