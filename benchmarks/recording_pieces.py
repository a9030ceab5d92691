"""What each step of the measurement of a request costs: python -m benchmarks.recording_pieces

Steps are timed by themselves, and the figures are the least of many short rounds, so other programs disturb them
little. benchmarks.recording has the whole daemon.
"""

from __future__ import annotations

import asyncio
import json
import timeit
from collections.abc import Callable
from typing import Any, cast

from sparkd.gateway.lending import Lease
from sparkd.gateway.measuring.asking import UsageAsking
from sparkd.gateway.measuring.measured_request import MeasuredRequest
from sparkd.gateway.measuring.recorder import Recorder
from sparkd.gateway.measuring.usage_filter import UsageFilter
from sparkd.gateway.preparation.prepared_request import PreparedRequest
from sparkd.gateway.request_head import RequestHead
from sparkd.rewriting import JsonBody
from sparkd.upstream.client import EngineRequest
from sparkd.upstream.headers import Headers
from tests.gateway.gateways import model

CALLS, ROUNDS = 500, 100
PATH = b"/v1/chat/completions"
DOCUMENT = json.dumps(
    {
        "choices": [{"message": {"content": "x" * 150}}],
        "usage": {"prompt_tokens": 11, "total_tokens": 14, "completion_tokens": 3},
    }
).encode()
CHUNK = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1764000000,"model":"m","choices":'
    b'[{"index":0,"delta":{"content":" text"},"logprobs":null,"finish_reason":null}]}\n\n'
)
BODY = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"%b"}]}' % (b"x" * 1000)
HEADERS: dict[bytes, Headers] = {
    kind: [(b"content-type", kind)] for kind in (b"application/json", b"text/event-stream")
}


class Nothing:
    """A sink, a lease and a forwarding that do nothing."""

    def head(self, *_: object) -> None:
        pass

    def body(self, _: bytes, *, more: bool) -> None:
        pass

    def load_seconds(self, *_: float) -> float:
        return 0.0


def main() -> None:
    asyncio.run(measure())


async def measure() -> None:
    """Print a table."""
    recorder, nothing = Recorder(), cast("Any", Nothing())
    scope = {"server": None, "client": None, "method": "POST", "raw_path": PATH, "query_string": b""}
    head = RequestHead({**scope, "headers": [(b"x-request-id", b"r1")]})
    prepared = PreparedRequest(model("m"), EngineRequest(b"POST", PATH, []))

    def begin(kind: bytes) -> MeasuredRequest:
        measured = recorder.begin(head, prepared, nothing, cast("Lease", nothing))
        measured.sink, measured.granted = nothing, measured.began
        measured.head(200, HEADERS[kind], nothing)
        return measured

    def document() -> None:
        measured = begin(b"application/json")
        measured.body(DOCUMENT, more=False)
        measured.end(nothing)
        recorder.end(measured, 200)

    stream = begin(b"text/event-stream")
    for _ in range(200):
        stream.body(CHUNK, more=True)
    body, asking, usage_filter = JsonBody.parse(BODY), UsageAsking(), UsageFilter("vllm")
    print("| step | µs |\n|---|---:|")
    show("a request, until it has ended", document, after=recorder.flush)
    show("its record, made in a batch", recorder.flush, before=document)
    show("a read of a stream, after the first token", lambda: stream.body(CHUNK, more=True))
    show("the same, to look for the usage of vLLM", lambda: usage_filter.feed(CHUNK, more=True))
    show("to ask for the usage", lambda: asking.ask(prepared.model, "chat", body))


def show(
    step: str,
    run: Callable[[], object],
    *,
    before: Callable[[], object] = int,
    after: Callable[[], object] = int,
) -> None:
    """Print the least time of one step. `before` and `after` are called around each round, untimed."""
    least = float("inf")
    for _ in range(ROUNDS):
        if before is not int:
            for _ in range(CALLS):
                before()
            least = min(least, timeit.timeit(run, number=1) / CALLS)
        else:
            least = min(least, timeit.timeit(run, number=CALLS) / CALLS)
        after()
    print(f"| {step} | {least * 1e6:.2f} |")


if __name__ == "__main__":
    main()
