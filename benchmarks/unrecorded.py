"""sparkd without the measurement of requests, to find out what that costs. Takes sparkd's arguments."""

from __future__ import annotations

import sys

import sparkd.gateway.app
from sparkd.__main__ import main
from sparkd.gateway.lending import Lease
from sparkd.gateway.measuring.active_requests import Cancellable
from sparkd.gateway.measuring.measured_request import MeasuredRequest
from sparkd.gateway.measuring.recorder import Recorder
from sparkd.gateway.preparation.prepared_request import PreparedRequest
from sparkd.gateway.request_head import RequestHead
from sparkd.upstream.connection import Flow, Sink
from sparkd.upstream.headers import Headers


class Unmeasured:
    """Passes everything on."""

    __slots__ = ("began", "granted", "sink")

    sink: Sink

    def __init__(self) -> None:
        self.began = 0.0
        self.granted: float | None = None

    def head(self, status: int, headers: Headers, flow: Flow) -> None:
        self.sink.head(status, headers, flow)

    def body(self, data: bytes, *, more: bool) -> None:
        self.sink.body(data, more=more)

    def grant(self, _: Lease) -> None:
        pass

    def end(self, _: Lease) -> None:
        del self.sink


class NoRecorder(Recorder):
    """Records nothing."""

    def begin(
        self,
        request: RequestHead,  # noqa: ARG002
        prepared: PreparedRequest,  # noqa: ARG002
        forwarding: Cancellable,  # noqa: ARG002
        lease: Lease,  # noqa: ARG002
    ) -> MeasuredRequest:
        return Unmeasured()  # type: ignore[return-value]  # as much of one as a forwarding needs

    def end(self, measured: MeasuredRequest, status: int, code: str = "") -> None:
        pass

    def abandon(self, measured: MeasuredRequest) -> None:
        pass


if __name__ == "__main__":
    vars(sparkd.gateway.app)["Recorder"] = NoRecorder
    sys.exit(main())
