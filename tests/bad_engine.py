"""A stand-alone program that simulates a bad engine: it fails on demand.

Start it like any engine (`python -S -E bad_engine.py --socket {socket} --model {model}`), or under the name `vllm`
with vLLM's own arguments (`serve SOURCE --served-model-name NAME --uds PATH …`; unknown flags are ignored). Without
faults it behaves well: like vLLM it refuses connections until it is ready; it echoes the request's text, and notices
when a client disconnects. A request may contain faults of its own:
`{"messages": […], "bad": {"tokens": 5, "pace": 0.1, "die_at_chunk": 3}}`.
`--journal FILE` writes one JSON line per event (started, ready, begin, end, cancelled, dies, stalls, sigterm, exit,
grandchild, runaway, vital), each with event, t (time.time()), model, pid, and id for requests. Uses only the standard
library and few imports, and is ready in about 30 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

GATE_INTERVAL = 0.01  # seconds between two checks of a gate
POLLRDHUP = getattr(select, "POLLRDHUP", 0x2000)  # the client has closed its side: it has disconnected
REASONS = {200: "OK", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}
TRACEBACK = """Traceback (most recent call last):
  File "engine.py", line 12, in connect
ConnectionError: attempt {} to reach the cache failed"""


class Request(NamedTuple):
    number: int
    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes


class ClientLeft(Exception):
    """The client closed its connection before the response was complete."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("positional", nargs="*", help="`serve SOURCE`, as for vLLM; ignored")
    add("--socket", "--uds", help="Unix socket to listen on")
    add("--host", default="127.0.0.1")
    add("--port", type=int)
    add("--model", "--served-model-name", default="bad")
    add("--max-model-len", type=int, default=4096)
    add("--journal", help="file that gets a JSON line per event")
    add(
        "--tokens", type=int, help="chunks per response; unset: the text of the last message, split at blanks"
    )
    add("--pace", type=float, default=0.0, help="seconds before each chunk")
    add(
        "--think",
        type=float,
        default=0.0,
        help="seconds before the first byte of a response (a long prefill)",
    )
    # Starting
    add("--start-delay", type=float, default=0.0, help="seconds until ready; refuses connections until then")
    add("--start-gate", metavar="FILE", help="not ready before that file exists")
    add("--say", action="append", default=[], help="line to print at the start; may be repeated")
    add("--print", dest="print_file", help="file (or FIFO) whose lines are printed while starting")
    add("--exit-at-start", type=int, metavar="CODE")
    add("--exit-after", type=float, metavar="S", help="exit this long after being ready")
    add("--exit-code", type=int, default=0, help="code of --exit-after")
    add("--allocate", type=int, default=0, metavar="BYTES", help="memory to allocate and keep")
    # Health
    add(
        "--health",
        choices=["honest", "never", "early", "slow"],
        default="honest",
        help="never: always 503; "
        "early: 200 although chat answers 503 until --start-delay is over; slow: --health-delay late",
    )
    add("--health-lies", dest="health", action="store_const", const="never")
    add("--health-delay", type=float, default=2.0)
    add("--sick", metavar="FILE", help="health answers 500 with a message while that file exists")
    add(
        "--traceback-every",
        type=float,
        metavar="S",
        help="never ready; logs the same traceback every S seconds",
    )
    # Ending
    add("--deaf", action="store_true", help="ignores SIGTERM, SIGINT and SIGHUP")
    add("--deaf-to", type=int, default=0, metavar="N", help="ignores the first N SIGTERMs only")
    add("--shutdown-delay", type=float, default=0.0, help="seconds between SIGTERM and the exit")
    add(
        "--fork-grandchildren",
        type=int,
        default=0,
        metavar="N",
        help="children that outlive it and ignore SIGTERM",
    )
    add(
        "--fork-runaways",
        type=int,
        default=0,
        metavar="N",
        help="the same, in sessions of their own, re-parented",
    )
    add(
        "--vital",
        metavar="NAME",
        help="forks a process that has this name, outlives it and does nothing else",
    )
    add("--runaways-leave", action="store_true", help="runaways also change their working folder to /")
    add(
        "--hoard",
        type=int,
        metavar="BYTES/S",
        help="never becomes ready, and allocates this much each second",
    )
    add(
        "--counters",
        choices=["working", "still"],
        help="/metrics shows an engine that makes progress, or none",
    )
    # Output
    add(
        "--flood-stdout",
        nargs="?",
        type=int,
        const=0,
        metavar="BYTES/S",
        help="without a number: as fast as possible",
    )
    # Requests
    add(
        "--chunk-gate", metavar="FILE", help="sends only the first chunk of an answer before that file exists"
    )
    add("--die-at-chunk", type=int, metavar="N", help="SIGKILLs itself instead of sending chunk N (from 0)")
    add("--poison", metavar="TEXT", help="SIGKILLs itself instead of answering a body with that text in it")
    add(
        "--poison-delay",
        type=float,
        default=0.0,
        metavar="S",
        help="answers --poison, and all other requests, with 500 for so long before it exits, as vLLM does",
    )
    add("--error-at-chunk", type=int, metavar="N", help="sends an error event and [DONE], as vLLM does")
    add("--stall-at-chunk", type=int, metavar="N", help="sends nothing more from chunk N on")
    add("--ignore-close", action="store_true", help="does not notice that the client has disconnected")
    add("--garbage", action="store_true", help="answers with bytes that are not HTTP, except for /health")
    add(
        "--early-close",
        action="store_true",
        help="closes kept-alive connections after a response without notice",
    )
    add(
        "--slow-headers",
        type=float,
        default=0.0,
        metavar="S",
        help="takes S seconds to send the headers of a response",
    )
    add(
        "--big-body",
        type=int,
        metavar="BYTES",
        help="content of this size in responses that are not streamed",
    )
    return parser.parse_known_args()[0]


class Engine:
    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.born = time.monotonic()
        self.ready = self.failed = False
        self.requests = 0
        self.sigterms = 0
        self.counting = threading.Lock()
        self.journal = -1
        if args.journal:
            self.journal = os.open(args.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def note(self, event: str, **details: Any) -> None:
        """Write one line with one write(2), because several engines may share a journal."""
        if self.journal >= 0:
            line = {"event": event, "t": time.time(), "model": self.args.model, "pid": os.getpid(), **details}
            os.write(self.journal, json.dumps(line).encode() + b"\n")

    def run(self) -> None:
        args = self.args
        self.note("started", argv=sys.argv[1:], parent=os.getppid())
        self.listen_for_signals()
        for line in args.say:
            print(line, flush=True)
        if args.exit_at_start is not None:
            sys.exit(args.exit_at_start)
        self.fork()
        ballast = b"\x01" * args.allocate
        listening = self.bind()
        if args.flood_stdout is not None:
            threading.Thread(target=flood, args=(args.flood_stdout,), daemon=True).start()
        if args.hoard:
            hoard(args.hoard)
        if args.print_file:
            print_lines(args.print_file)
        while args.traceback_every:
            self.requests += 1
            print(TRACEBACK.format(self.requests), flush=True)
            time.sleep(args.traceback_every)
        if args.health == "early":
            listening.listen(1024)
            threading.Thread(target=self.become_ready, daemon=True).start()
        else:
            self.become_ready()
            listening.listen(1024)
        if args.exit_after is not None:
            threading.Timer(args.exit_after, os._exit, (args.exit_code,)).start()
        self.serve(listening)
        del ballast

    def become_ready(self) -> None:
        left = self.args.start_delay - (time.monotonic() - self.born)
        if left > 0:
            time.sleep(left)
        while not is_open(self.args.start_gate):
            time.sleep(GATE_INTERVAL)
        self.ready = True
        self.note("ready")
        print("INFO:     Application startup complete.", flush=True)

    def bind(self) -> socket.socket:
        if self.args.socket:
            listening = socket.socket(socket.AF_UNIX)
            address: Any = self.args.socket
        else:
            listening = socket.socket(socket.AF_INET)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            address = (self.args.host, self.args.port or 0)
        try:
            listening.bind(address)
        except OSError as error:
            print(f"OSError: {error}", flush=True)
            sys.exit(1)
        return listening

    def serve(self, listening: socket.socket) -> None:
        while True:
            connection, _ = listening.accept()
            if not self.args.socket:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.converse, args=(connection,), daemon=True).start()

    # Signals and children

    def listen_for_signals(self) -> None:
        signal.signal(signal.SIGTERM, self.on_sigterm)
        signal.signal(signal.SIGINT, self.on_sigterm)
        if self.args.deaf:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def on_sigterm(self, *_: object) -> None:
        self.sigterms += 1
        self.note("sigterm", count=self.sigterms)
        if self.args.deaf or self.sigterms <= self.args.deaf_to:
            return
        time.sleep(self.args.shutdown_delay)
        self.note("exit")
        os._exit(0)

    def fork(self) -> None:
        if self.args.vital and os.fork() == 0:
            with open("/proc/self/comm", "w") as name:  # noqa: PTH123 - pathlib costs 5 ms of the start
                name.write(self.args.vital)
            self.outlive("vital")
        for _ in range(self.args.fork_grandchildren):
            if os.fork() == 0:
                self.outlive("grandchild")
        for _ in range(self.args.fork_runaways):
            child = os.fork()
            if child == 0:
                os.setsid()
                if os.fork():
                    os._exit(0)
                if self.args.runaways_leave:
                    os.chdir("/")
                self.outlive("runaway")
            os.waitpid(child, 0)

    def outlive(self, kind: str) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self.note(kind)
        while True:
            signal.pause()

    # Conversations

    def converse(self, connection: socket.socket) -> None:
        with connection:
            try:
                for request in self.read(connection):
                    self.answer(connection, request)
                    if self.args.early_close:
                        return
            except OSError:  # the client has disconnected
                return

    def read(self, connection: socket.socket) -> Iterator[Request]:
        with connection.makefile("rb") as reader:
            while first := reader.readline():
                method, path, _ = first.decode("latin-1").split(" ", 2)
                headers = []
                while (line := reader.readline().decode("latin-1").strip()) != "":
                    name, _, value = line.partition(":")
                    headers.append((name.lower(), value.strip()))
                known = dict(headers)
                if known.get("expect", "").lower() == "100-continue":
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                if known.get("transfer-encoding") == "chunked":
                    body = b"".join(chunks(reader))
                else:
                    body = reader.read(int(known.get("content-length", 0)))
                with self.counting:
                    self.requests += 1
                    number = self.requests
                yield Request(number, method, path, headers, body)

    def answer(self, connection: socket.socket, request: Request) -> None:
        path = request.path.partition("?")[0]
        if path == "/health":
            self.answer_health(connection)
            return
        if self.args.garbage:
            connection.sendall(b"\x00\xffI am not HTTP\n" * 8)
            raise ConnectionAbortedError
        self.note("begin", id=request.number, method=request.method, path=request.path)
        try:
            self.answer_api(connection, request, path)
        except (ClientLeft, OSError):
            self.note("cancelled", id=request.number)
            raise ConnectionAbortedError from None
        self.note("end", id=request.number)

    def answer_health(self, connection: socket.socket) -> None:
        if self.args.health == "slow":
            time.sleep(self.args.health_delay)
        if self.args.sick and is_open(self.args.sick):
            self.send_json(
                connection, 500, {"error": {"message": "the database is unreachable", "code": 500}}
            )
            return
        self.send(connection, 503 if self.args.health == "never" else 200, b"")

    def answer_api(self, connection: socket.socket, request: Request, path: str) -> None:
        model = self.args.model
        if path == "/v1/models":
            card = {"id": model, "object": "model", "root": model, "max_model_len": self.args.max_model_len}
            self.send_json(connection, 200, {"object": "list", "data": [card]})
        elif path.endswith("/echo"):
            self.pause(connection, self.args.think)
            seen = {"method": request.method, "path": request.path, "headers": request.headers,
                    "body": request.body.decode("latin-1")}  # fmt: skip
            self.send_json(connection, 200, seen)
        elif path == "/metrics" and self.args.counters:
            working = self.args.counters == "working"
            steps = time.monotonic() if working else 7
            text = f"vllm:num_requests_running 1.0\nvllm:iteration_tokens_total_count {steps}\n"
            self.send(connection, 200, text.encode())
        elif not self.ready:
            self.send_json(connection, 503, {"error": {"message": "not ready", "code": 503}})
        elif self.failed or self.is_poisoned(request.body):
            self.send_json(
                connection, 500, {"error": {"message": "EngineCore encountered an issue.", "code": 500}}
            )
        elif path in ("/v1/chat/completions", "/v1/completions"):
            self.answer_chat(connection, json.loads(request.body), request.number)
        elif path == "/v1/embeddings":
            asked = json.loads(request.body).get("input", "")
            texts = asked if isinstance(asked, list) else [asked]
            data = [{"object": "embedding", "index": i, "embedding": [float(len(str(t))), 0.5, -0.5]}
                    for i, t in enumerate(texts)]  # fmt: skip
            usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
            self.send_json(connection, 200, {"object": "list", "model": model, "data": data, "usage": usage})
        else:
            self.send_json(connection, 404, {"detail": "Not Found"})

    def is_poisoned(self, body: bytes) -> bool:
        """Whether the engine fails because of this body: at once, or after it has answered for a while."""
        if self.args.poison is None or self.args.poison.encode() not in body:
            return False
        self.note("dies", chunk=0)
        if not self.args.poison_delay:
            os.kill(os.getpid(), signal.SIGKILL)
        self.failed = True
        threading.Timer(self.args.poison_delay, os._exit, (1,)).start()
        return True

    def answer_chat(self, connection: socket.socket, body: dict[str, Any], number: int) -> None:
        faults = {**vars(self.args), **body.get("bad", {})}
        self.pause(connection, faults["think"], faults["ignore_close"])
        tokens = split_text(body, faults["tokens"])
        usage = {"prompt_tokens": 1, "completion_tokens": len(tokens), "total_tokens": len(tokens) + 1}
        shared = {
            "id": f"chatcmpl-{os.getpid()}-{number}",
            "model": self.args.model,
            "created": int(time.time()),
        }
        if not body.get("stream"):
            for index in range(len(tokens)):
                self.misbehave(connection, index, faults)
            text = "x" * faults["big_body"] if faults["big_body"] is not None else "".join(tokens)
            message = (
                {"message": {"role": "assistant", "content": text}} if "messages" in body else {"text": text}
            )
            choice = {"index": 0, **message, "finish_reason": "stop"}
            self.send_json(
                connection, 200, {**shared, "object": "chat.completion", "choices": [choice], "usage": usage}
            )
            return
        self.send_head(connection, 200, "text/event-stream", "transfer-encoding: chunked")
        shared["object"] = "chat.completion.chunk"
        send_event(connection, {**shared, "choices": [delta({"role": "assistant", "content": ""})]})
        for index, token in enumerate(tokens):
            self.misbehave(connection, index, faults)
            if faults["error_at_chunk"] == index:
                send_event(
                    connection, {"error": {"message": "EngineCore encountered an issue.", "code": 500}}
                )
                break
            send_event(connection, {**shared, "choices": [delta({"content": token})]})
        else:
            send_event(connection, {**shared, "choices": [delta({}, "stop")]})
            if (body.get("stream_options") or {}).get("include_usage"):
                send_event(connection, {**shared, "choices": [], "usage": usage})
        send_chunk(connection, b"data: [DONE]\n\n")
        connection.sendall(b"0\r\n\r\n")

    def misbehave(self, connection: socket.socket, index: int, faults: dict[str, Any]) -> None:
        self.pause(connection, faults["pace"], faults["ignore_close"])
        while index and not is_open(faults["chunk_gate"]):
            self.pause(connection, GATE_INTERVAL, faults["ignore_close"])
        if faults["die_at_chunk"] == index:
            self.note("dies", chunk=index)
            os.kill(os.getpid(), signal.SIGKILL)
        if faults["stall_at_chunk"] is not None and index >= faults["stall_at_chunk"]:
            self.note("stalls", chunk=index)
            self.pause(connection, 1e6, faults["ignore_close"])

    def pause(self, connection: socket.socket, seconds: float, ignore_close: bool = False) -> None:
        if ignore_close:
            time.sleep(seconds)
            return
        poll = select.poll()
        poll.register(connection, POLLRDHUP)
        if poll.poll(seconds * 1000):
            raise ClientLeft

    # Bytes

    def send(self, connection: socket.socket, status: int, body: bytes, kind: str = "text/plain") -> None:
        self.send_head(connection, status, kind, f"content-length: {len(body)}", body)

    def send_json(self, connection: socket.socket, status: int, document: dict[str, Any]) -> None:
        self.send(connection, status, json.dumps(document).encode(), "application/json")

    def send_head(
        self, connection: socket.socket, status: int, kind: str, framing: str, body: bytes = b""
    ) -> None:
        lines = [
            f"HTTP/1.1 {status} {REASONS[status]}",
            "server: bad",
            f"content-type: {kind}",
            framing,
            "",
            "",
        ]
        head = "\r\n".join(lines).encode()
        if self.args.slow_headers:
            for byte in head:
                self.pause(connection, self.args.slow_headers / len(head))
                connection.sendall(bytes([byte]))
            head = b""
        connection.sendall(head + body)


def is_open(gate: str | None) -> bool:
    return gate is None or os.path.exists(gate)  # noqa: PTH110 - pathlib costs 5 ms of the start


def chunks(reader: Any) -> Iterator[bytes]:
    while size := int(reader.readline().split(b";")[0], 16):
        yield reader.read(size)
        reader.readline()
    while reader.readline().strip():
        continue


def split_text(body: dict[str, Any], count: int | None) -> list[str]:
    """Return the last message's text split at blanks, or `count` parts of it, repeated; each with a space after it."""
    text = body["messages"][-1]["content"] if body.get("messages") else body.get("prompt", "")
    parts = str(text).split() or ["…"]
    return [f"{parts[i % len(parts)]} " for i in range(len(parts) if count is None else count)]


def delta(content: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": content, "finish_reason": finish}


def send_event(connection: socket.socket, document: dict[str, Any]) -> None:
    send_chunk(connection, b"data: " + json.dumps(document).encode() + b"\n\n")


def send_chunk(connection: socket.socket, data: bytes) -> None:
    connection.sendall(b"%x\r\n%s\r\n" % (len(data), data))


def hoard(rate: int) -> None:
    """Allocate memory like a load that is too large: twenty blocks a second, with every page written."""
    blocks = []
    while True:
        blocks.append(b"\x01" * (rate // 20))
        time.sleep(0.05)


def print_lines(path: str) -> None:
    with open(path, "rb") as lines:  # noqa: PTH123 - pathlib costs 5 ms of the start
        for line in lines:
            os.write(1, line)


def flood(rate: int) -> None:
    block = b"y\n" * 32768
    while True:
        written = os.write(1, block)
        if rate:
            time.sleep(written / rate)


if __name__ == "__main__":
    Engine(arguments()).run()
