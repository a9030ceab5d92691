"""The signals that tell the daemon to end or to read its catalogue again, and how none is lost while it is replaced."""

from __future__ import annotations

import signal
from typing import Final

CONTROL_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


def block_signals() -> None:
    """Block the signals in this thread. Blocked in every thread, they wait across an exec until `unblock_signals`.

    Without it the first moments of the next program, which has engines and does not listen yet, end by SIGTERM.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, CONTROL_SIGNALS)


def unblock_signals() -> None:
    """Accept the signals in this thread again, including those that have waited."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, CONTROL_SIGNALS)
