"""A stand-in for an engine that talks: it streams what the last message asks for, like vLLM, with the usage at the end.

"echo: TEXT"  streams TEXT      "count N"  streams N words, 20 ms apart      "think"  reasons first
"weather"     calls the first tool; after its result, repeats it             an image: says what it got
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import UnixStreamServer
from typing import Any

Delta = dict[str, Any]


def answer(body: dict[str, Any]) -> Iterator[Delta]:
    """The deltas of the answer to a request."""
    last = body["messages"][-1]
    parts = (
        last["content"] if isinstance(last["content"], list) else [{"type": "text", "text": last["content"]}]
    )
    text = " ".join(part["text"] for part in parts if part["type"] == "text")
    images = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    if last["role"] == "tool":
        yield from say(f"The tool says: **{text}**")
    elif images:
        yield from say(
            f"I see {len(images)} image of type {images[0].partition(';')[0]}, {len(images[0])} characters."
        )
    elif "weather" in text and body.get("tools"):
        yield {"reasoning": "The user wants to know the weather. "}
        yield {"reasoning": "I call the tool."}
        name = body["tools"][0]["function"]["name"]
        yield {
            "tool_calls": [
                {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
            ]
        }
        for piece in ('{"ci', 'ty": "Ber', 'lin"}'):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
    elif found := re.search(r"count (\d+)", text):
        for number in range(int(found[1])):
            time.sleep(0.02)
            yield {"content": f"{number} "}
    else:
        if "think" in text:
            yield {"reasoning": "Let me think about it.\nDone."}
        yield from say(text.partition("echo: ")[2] or text)


def say(text: str) -> Iterator[Delta]:
    for start in range(0, len(text), 7):
        yield {"content": text[start : start + 7]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model = ""

    def address_string(self) -> str:
        return "sparkd"  # a Unix socket has no address

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        print(f"INFO:     {format % arguments}", flush=True)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        tokens, finish = 0, "stop"
        for delta in answer(body):
            tokens += 1
            finish = "tool_calls" if "tool_calls" in delta else finish
            self.send_event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        self.send_event({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        if (body.get("stream_options") or {}).get("include_usage"):
            usage = {"prompt_tokens": 20, "completion_tokens": tokens, "total_tokens": 20 + tokens}
            self.send_event(
                {"choices": [], "usage": {**usage, "prompt_tokens_details": {"cached_tokens": 16}}}
            )
        self.send_chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def send_event(self, event: dict[str, Any]) -> None:
        shared = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": self.model,
        }
        self.send_chunk(b"data: %b\n\n" % json.dumps({**shared, **event}).encode())

    def send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    address_family = UnixStreamServer.address_family

    def server_bind(self) -> None:
        UnixStreamServer.server_bind(self)  # HTTPServer's looks up the name of a host

    server_name, server_port = "engine", 0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--say", action="append", default=[])
    parser.add_argument("--lines", type=int, default=0)
    parser.add_argument("--start-delay", type=float, default=0.0)
    arguments = parser.parse_args()
    Handler.model = arguments.model
    for line in arguments.say:
        print(line, flush=True)
    for number in range(arguments.lines):
        print(
            f"INFO 01-01 00:00:00 [core.py:{number}] step {number} of the engine", flush=(number % 500 == 0)
        )
        if number % 500 == 0:
            time.sleep(0.002)
    sys.stdout.flush()
    time.sleep(arguments.start_delay)
    print("INFO:     Application startup complete.", flush=True)
    Server(arguments.socket, Handler).serve_forever()


def talker(*options: str, **fields: Any) -> dict[str, Any]:
    """A model that this engine serves."""
    program = [
        sys.executable,
        str(Path(__file__).resolve()),
        "--socket",
        "{socket}",
        "--model",
        "{model}",
        *options,
    ]
    return {"engine": "command", "command": program, "memory": "1 GiB", **fields}


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    main()
