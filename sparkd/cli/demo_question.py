"""The demo's first request: asked as any client would, with a clock beside it."""

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
from sparkd.runtimes.running import Report

QUESTION = "What is the capital of France?"

# A first start on a slow machine takes minutes; the daemon gives up before this does (`start_timeout`).
_PATIENCE = httpx.Timeout(10.0, read=1000.0)

_LOOK_EVERY = 0.5


class Answer(Struct, frozen=True, kw_only=True):
    """What came back, and when. Durations are seconds; `start` is None when the model was ready already."""

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


class _Failure(Struct):
    message: str


class _Chunk(Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: _Failure | None = None


def ask(address: str, control: ControlClient, model: str, report: Report) -> Answer:
    """Sends QUESTION to `model` at `address` (`http://host:port`), streaming. Raises NoAnswer, DaemonUnreachable."""
    was_ready = control.model(model).state == "ready"
    began = time.monotonic()
    first = None
    text: list[str] = []
    tokens = 0
    with _phases_told(control, model, report):
        for chunk in _stream(f"{address}/v1/chat/completions", model):
            if chunk.error:
                raise NoAnswer(f"{model} broke off: {chunk.error.message}")
            if chunk.usage:
                tokens = chunk.usage.completion_tokens
            said = "".join(choice.delta.content or "" for choice in chunk.choices)
            if said and first is None:
                first = time.monotonic()
            text.append(said)
    ended = time.monotonic()
    if first is None:
        raise NoAnswer(f"{model} ended its answer without a word.")
    start = None if was_ready else control.model(model).load_time
    return Answer(
        model=model,
        question=QUESTION,
        answer="".join(text).strip(),
        tokens=tokens,
        start=start,
        first_token=first - began - (start or 0.0),
        tokens_per_second=(tokens - 1) / (ended - first) if tokens > 1 else 0.0,
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
    # trust_env: a proxy of the environment has no business between us and this machine.
    try:
        with (
            httpx.Client(timeout=_PATIENCE, trust_env=False) as http,
            http.stream("POST", url, json=body) as answer,
        ):
            if answer.status_code != 200:
                answer.read()
                told = msgspec.json.decode(answer.content, type=_Chunk).error
                raise NoAnswer(told.message if told else f"sparkd answered {answer.status_code}.")
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    yield msgspec.json.decode(line.removeprefix("data: "), type=_Chunk)
    except (httpx.HTTPError, msgspec.DecodeError) as error:
        raise NoAnswer(f"The answer broke off: {error}") from error


@contextmanager
def _phases_told(control: ControlClient, model: str, report: Report) -> Iterator[None]:
    """Reports each step of the model's loading while the body of the `with` waits for its answer."""
    over = threading.Event()

    def look() -> None:
        told = None
        while not over.wait(_LOOK_EVERY):
            try:
                phase = control.model(model).phase
            except SparkdError:
                return  # the request itself will tell what is wrong
            if phase and phase != told:
                report(f"  {phase}")
            told = phase

    watch = threading.Thread(target=look, daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()
