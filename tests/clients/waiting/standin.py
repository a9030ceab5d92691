"""The main module of a stand-in for vLLM: it streams what a real vLLM streamed (record.py), with faults on demand.

Its flags are the bad engine's, which is beside this package. `--at-gate` says what it does when the file of
`--start-gate` appears: become ready, fail, or allocate memory without end.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

bad_engine: Any = importlib.import_module("bad_engine")

RECORDED = Path(os.environ.get("RECORDED", "/nowhere"))
APIS = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/messages": "messages",
    "/v1/responses": "responses",
}

GIBIBYTE = 2**30
LONG = b"Count me exactly"
"""A prompt with this has more tokens than the context."""

FAULTS: dict[bytes, dict[str, Any]] = {
    b"Read for ever": {"think": 1e6},
    b"Stop in the answer": {"stall_at_chunk": 3},
    b"Answer slowly": {"pace": 0.02, "repeat": 60},
}
"""What the engine does with a prompt that has this text."""


class ReplayingEngine(bad_engine.Engine):  # type: ignore[misc]  # it is loaded by its file
    """The bad engine, with real answers."""

    def answer_api(self, connection: Any, request: Any, path: str) -> None:
        if path == "/tokenize":
            count = 2 * self.args.max_model_len if LONG in request.body else 10
            self.send_json(connection, 200, {"count": count, "max_model_len": self.args.max_model_len})
        elif path not in APIS:
            super().answer_api(connection, request, path)
        else:
            self.replay(connection, request, APIS[path])

    def replay(self, connection: Any, request: Any, api: str) -> None:
        """Send a recording, frame by frame, with the ids that vLLM would give this request."""
        body = json.loads(request.body)
        faults = {"repeat": 1, **vars(self.args)}
        for text, values in FAULTS.items():
            faults.update(values if text in request.body else {})
        self.pause(connection, faults["think"])
        self.send_head(connection, 200, "text/event-stream; charset=utf-8", "transfer-encoding: chunked")
        for index, frame in enumerate(self.frames(request, body, api, faults["repeat"])):
            self.misbehave(connection, index, faults)
            bad_engine.send_chunk(connection, frame)
        connection.sendall(b"0\r\n\r\n")

    def frames(self, request: Any, body: dict[str, Any], api: str, repeat: int) -> list[bytes]:
        """Return the frames of a recording; with `repeat`, each text in it that many times as long."""
        kind = "tool" if b"Read the note" in request.body else "text"
        recorded = (RECORDED / f"{api}-{kind}.sse").read_bytes()
        own_id = dict(request.headers).get("x-request-id", f"own-{request.number}")
        recorded = recorded.replace(b"recorded-request", own_id.encode())
        response_id = body.get("request_id") or f"resp_{own_id}"
        recorded = recorded.replace(b"resp_recorded", response_id.encode())
        recorded = recorded.replace(b'"model":"system-first"', b'"model":"%s"' % self.args.model.encode())
        recorded = recorded.replace(b" the scripted", b" the scripted" * repeat)
        frames = [frame + b"\n\n" for frame in recorded.split(b"\n\n") if frame]
        if (body.get("stream_options") or {}).get("include_usage"):
            return frames
        return [frame for frame in frames if b'"choices":[],' not in frame]


def fail() -> None:
    print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB", flush=True)
    sys.exit(1)


def main() -> None:
    """Run `vllm serve SOURCE …`."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--at-gate", choices=["ready", "fail", "hoard"], default="ready")
    at_gate = parser.parse_known_args()[0].at_gate
    args = bad_engine.arguments()
    if at_gate != "ready":
        while not bad_engine.is_open(args.start_gate):
            time.sleep(bad_engine.GATE_INTERVAL)
        if at_gate == "fail":
            fail()
        bad_engine.hoard(GIBIBYTE)
    ReplayingEngine(args).run()


if __name__ == "__main__":
    main()
