"""The signals that tell the daemon to end or to read its catalogue again, and how none is lost while it is replaced."""

from __future__ import annotations

import signal
from typing import Final

ORDERS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


def hold_back() -> None:
    """Have orders wait: with what is called so in each of our threads they do so across an exec, until `let_in`.

    Without it the first moments of the next program, which has engines and does not listen yet, end by SIGTERM.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ORDERS)


def let_in() -> None:
    """Take orders in this thread, those included that have waited."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ORDERS)
