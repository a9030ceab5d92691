"""How much a request matters beside others that wait."""

from __future__ import annotations

from typing import Literal

Priority = Literal["high", "normal", "low"]
"""Requests of a higher priority are served first, but waiting raises the priority of every request."""
