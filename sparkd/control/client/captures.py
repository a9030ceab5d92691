"""Methods about captured requests."""

from __future__ import annotations

from sparkd.control.client.connection import ControlConnection
from sparkd.usage.captured import CapturedRequest, CaptureList, CaptureOrder


class CaptureMethods(ControlConnection):
    """Methods about captured requests."""

    def capture(self, order: CaptureOrder) -> CaptureList:
        """Capture from now on, and forget what was captured before."""
        return self._request("POST", "/captures", CaptureList, body=order)

    def captures(self) -> CaptureList:
        """Whose requests are captured, and the captured ones without their bodies."""
        return self._request("GET", "/captures", CaptureList)

    def captured(self, number: int) -> CapturedRequest:
        """One with its bodies."""
        return self._request("GET", f"/captures/{number}", CapturedRequest)

    def forget_captures(self) -> CaptureList:
        """End the capture, and forget everything."""
        return self._request("DELETE", "/captures", CaptureList)
