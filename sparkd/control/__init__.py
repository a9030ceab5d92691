"""The operator's API, on a Unix socket that only its owner may open."""

from sparkd.control.app import control_app
from sparkd.control.supervision import Supervision

__all__ = ["Supervision", "control_app"]
