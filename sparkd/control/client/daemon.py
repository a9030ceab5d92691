"""Methods about the daemon as a whole."""

from __future__ import annotations

from sparkd.control.client.connection import ControlConnection
from sparkd.hub.files import ModelFiles
from sparkd.scheduling.status import Reload, Status


class DaemonMethods(ControlConnection):
    """Methods about the daemon as a whole."""

    def status(self) -> Status:
        """The current status."""
        return self._request("GET", "/status", Status)

    def reload(self) -> Reload:
        """Reload the catalogue and return what changed. If it has errors, raises DaemonError and changes nothing."""
        return self._request("POST", "/reload", Reload, wait_forever=True)

    def reexec(self) -> Status:
        """Replace the daemon with the installed program, soon; returns the status before.

        Afterwards, `replacements` is one higher. DaemonError with the code replacement_refused: it would not start.
        """
        return self._request("POST", "/reexec", Status, wait_forever=True)

    def metrics(self, *, engines: bool = False) -> list[str]:
        """The lines of the daemon's metrics in Prometheus's format, or of those of the ready engines."""
        path = "/metrics/engines" if engines else "/metrics"
        return list(self._stream_lines(path, silence=self._timeout))

    def files(self) -> list[ModelFiles]:
        """What is on disk for every model."""
        return self._request("GET", "/files", list[ModelFiles])
