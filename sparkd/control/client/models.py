"""Methods about one model. `name` is an id or an alias."""

from __future__ import annotations

from collections.abc import Generator
from urllib.parse import quote

from sparkd.control.client.connection import ControlConnection
from sparkd.hub.files import RemovalResult
from sparkd.scheduling.hold import HoldRequest, HoldStatus
from sparkd.scheduling.plan import Plan
from sparkd.scheduling.status import ModelStatus


class ModelMethods(ControlConnection):
    """Methods about one model, and about holds. `name` is an id or an alias."""

    def model(self, name: str) -> ModelStatus:
        """The current status of one model."""
        return self._request("GET", _model_path(name), ModelStatus)

    def plan(self, name: str) -> Plan:
        """What a request for the model would do now."""
        return self._request("GET", f"{_model_path(name)}/plan", Plan)

    def pull(self, name: str) -> ModelStatus:
        """Download the model's files; returns once they are complete, with no time limit."""
        return self._request("POST", f"{_model_path(name)}/pull", ModelStatus, wait_forever=True)

    def remove(self, name: str) -> RemovalResult:
        """Delete the model's files."""
        return self._request("DELETE", f"{_model_path(name)}/files", RemovalResult, wait_forever=True)

    def load(self, name: str) -> ModelStatus:
        """Load the model; returns once it is ready, with no time limit."""
        return self._request("POST", f"{_model_path(name)}/load", ModelStatus, wait_forever=True)

    def stop(self, name: str) -> ModelStatus:
        """Stop the model; returns once its responses are finished and it is stopped."""
        return self._request("POST", f"{_model_path(name)}/stop", ModelStatus, wait_forever=True)

    def retry(self, name: str) -> ModelStatus:
        """End the model's backoff or quarantine."""
        return self._request("POST", f"{_model_path(name)}/retry", ModelStatus)

    def hold(self, name: str, request: HoldRequest) -> HoldStatus:
        """Keep the model loaded for a time; begins to load it."""
        return self._request("POST", f"{_model_path(name)}/hold", HoldStatus, body=request)

    def holds(self) -> list[HoldStatus]:
        """All holds."""
        return self._request("GET", "/holds", list[HoldStatus])

    def release(self, hold_id: str) -> HoldStatus:
        """End a hold; returns it as it was."""
        return self._request("DELETE", f"/holds/{quote(hold_id, safe='')}", HoldStatus)

    def logs(self, name: str, *, lines: int = 200, follow: bool = False) -> Generator[str, None, None]:
        """The last `lines` of the model's log; with `follow`, also each new line until its process ends."""
        query = {"lines": str(lines), "follow": "1" if follow else "0"}
        yield from self._stream_lines(
            f"{_model_path(name)}/logs", query=query, silence=None if follow else self._timeout
        )


def _model_path(name: str) -> str:
    return f"/models/{quote(name, safe='')}"
