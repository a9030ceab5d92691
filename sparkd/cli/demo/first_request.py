"""The demo's first request: sent like any client's, and timed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import msgspec
from msgspec import Struct

from sparkd.control.client import ControlClient
from sparkd.errors import NoAnswer, SparkdError
from sparkd.runtimes.programs import Report

QUESTION = "What is the capital of France?"

# A first start on a slow machine takes minutes; the daemon's `start_timeout` is shorter than this.
_TIMEOUT = httpx.Timeout(10.0, read=1000.0)

_POLL_INTERVAL = 0.5


class DemoAnswer(Struct, frozen=True, kw_only=True):
    """The response and its times. Durations are seconds; `start` is None if the model was already ready."""

    model: str
    question: str
    answer: str
    tokens: int
    start: float | None
    first_token: float
    tokens_per_second: float


class _Delta(Struct):
    content: str | None = None


class _Choice(Struct):
    delta: _Delta


class _Usage(Struct):
    completion_tokens: int = 0


class _Error(Struct):
    message: str


class _Chunk(Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: _Error | None = None


def ask_question(address: str, control: ControlClient, model: str, report: Report) -> DemoAnswer:
    """Send QUESTION to `model` at `address` (`http://host:port`), streamed. Raises NoAnswer, DaemonUnreachable."""
    was_ready = control.model(model).state == "ready"
    started_at = time.monotonic()
    first_token_at = None
    text: list[str] = []
    tokens = 0
    with _report_phases(control, model, report):
        for chunk in _stream(f"{address}/v1/chat/completions", model):
            if chunk.error:
                raise NoAnswer(f"The response from {model} broke off: {chunk.error.message}")
            if chunk.usage:
                tokens = chunk.usage.completion_tokens
            content = "".join(choice.delta.content or "" for choice in chunk.choices)
            if content and first_token_at is None:
                first_token_at = time.monotonic()
            text.append(content)
    ended_at = time.monotonic()
    if first_token_at is None:
        raise NoAnswer(f"{model} sent an empty response.")
    start = None if was_ready else control.model(model).load_time
    return DemoAnswer(
        model=model,
        question=QUESTION,
        answer="".join(text).strip(),
        tokens=tokens,
        start=start,
        first_token=first_token_at - started_at - (start or 0.0),
        tokens_per_second=(tokens - 1) / (ended_at - first_token_at) if tokens > 1 else 0.0,
    )


def _stream(url: str, model: str) -> Iterator[_Chunk]:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": 64,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    # trust_env: requests to this machine must not go through a proxy from the environment.
    try:
        with (
            httpx.Client(timeout=_TIMEOUT, trust_env=False) as http,
            http.stream("POST", url, json=body) as response,
        ):
            if response.status_code != 200:
                response.read()
                error = msgspec.json.decode(response.content, type=_Chunk).error
                raise NoAnswer(
                    error.message if error else f"sparkd responded with status {response.status_code}."
                )
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    yield msgspec.json.decode(line.removeprefix("data: "), type=_Chunk)
    except (httpx.HTTPError, msgspec.DecodeError) as error:
        raise NoAnswer(f"The response broke off: {error}") from error


@contextmanager
def _report_phases(control: ControlClient, model: str, report: Report) -> Iterator[None]:
    """Report each loading step of the model while the `with` block waits for the response."""
    finished = threading.Event()

    def poll() -> None:
        reported = None
        while not finished.wait(_POLL_INTERVAL):
            try:
                phase = control.model(model).phase
            except SparkdError:
                return  # the request itself reports the error
            if phase and phase != reported:
                report(f"  {phase}")
            reported = phase

    poller = threading.Thread(target=poll, daemon=True)
    poller.start()
    try:
        yield
    finally:
        finished.set()
        poller.join()
