"""The signals that stop the daemon or reload its catalogue, and how to keep them pending while it is replaced."""

from __future__ import annotations

import signal
from typing import Final

CONTROL_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


def block_signals() -> None:
    """Block the signals in this thread. If every thread blocks them, they stay pending across an exec.

    Otherwise a SIGTERM would kill the next program while it starts: it has engines, but no signal handler yet.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, CONTROL_SIGNALS)


def unblock_signals() -> None:
    """Accept the signals in this thread again, including pending ones."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, CONTROL_SIGNALS)
