"""A real sparkd whose catalogue has each model twice, started warm and started cold; and a client of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from sparkd.control.client import ControlClient
from tests.e2e.sparkd_process import SparkdProcess, wait_until
from tests.models import CHAT_MODEL, EMBEDDINGS_MODEL, RUNTIMES, TINY_MODEL, VENVS

COLD = "-cold"
"""End of the name of a model that starts without the launcher."""

LONG_START = 600.0
"""Seconds after which a start counts as hanging. It only limits a hang."""


@dataclass(frozen=True)
class BenchmarkModel:
    """A model to start: `name` in the catalogue, `title` in the tables, and its folder. `pooling`: for embeddings."""

    name: str
    title: str
    folder: Path
    pooling: bool = False


TINY = BenchmarkModel("tiny", "tiny Llama", TINY_MODEL)
SMOLLM = BenchmarkModel("smollm2", "SmolLM2-135M", CHAT_MODEL)
MINILM = BenchmarkModel("minilm", "MiniLM, embeddings", EMBEDDINGS_MODEL, pooling=True)
MODELS = (TINY, SMOLLM, MINILM)


@dataclass(frozen=True)
class Answer:
    """When a request was sent, when its first token came, and when its answer ended, in seconds of one clock."""

    sent: float
    first: float
    ended: float

    @property
    def until_first(self) -> float:
        """Seconds from the request to the first token."""
        return self.first - self.sent


class Daemon:
    """A running sparkd and its clients."""

    def __init__(self, process: SparkdProcess) -> None:
        self.process = process
        self.control = ControlClient(process.folder / "run" / "control.sock")

    def ask(self, model: str, tokens: int = 4) -> Answer:
        """Send one request, for a streamed answer of this many tokens or for an embedding. Read the whole answer."""
        sent = time.monotonic()
        first = None
        path, body = _build_request(model, tokens)
        url = f"{self.process.url}/v1/{path}"
        with httpx.stream("POST", url, json=body, timeout=LONG_START) as response:
            for piece in response.iter_bytes():
                first = first or (time.monotonic() if piece.strip() else None)
            if response.status_code != 200 or first is None:
                raise RuntimeError(f"{model}: status {response.status_code}; see {self.process.output}")
        return Answer(sent, first, time.monotonic())

    def stop(self, model: str) -> None:
        """Stop a model; return when nothing of it is left."""
        self.control.stop(model)

    def stop_all(self) -> None:
        """Stop every model."""
        for model in self.control.status().models:
            if model.state != "stopped":
                self.stop(model.id)

    def check_start(self, model: str) -> None:
        """Raise RuntimeError if the running model has not started as its name says."""
        status = self.control.model(model)
        expected = "cold" if model.endswith(COLD) else "warm"
        if status.start != expected:
            raise RuntimeError(f"{model} started {status.start}: {status.cold_reason}")

    def wait_for_launcher(self) -> float:
        """Wait until the launcher is ready; return the seconds that its imports took."""

        def read_load_time() -> float | None:
            return next((each.load_time for each in self.control.status().launchers), None)

        seconds: float = wait_until("the launcher is ready", read_load_time, LONG_START)
        return seconds


def _build_request(model: str, tokens: int) -> tuple[str, dict[str, Any]]:
    if model.removesuffix(COLD) == MINILM.name:
        return "embeddings", {"model": model, "input": "How tall is the lighthouse?"}
    body = {"model": model, "prompt": "Once upon a time", "stream": True}
    return "completions", {**body, "max_tokens": tokens, "ignore_eos": True, "temperature": 0}


@contextmanager
def running_daemon(folder: Path) -> Iterator[Daemon]:
    """Start sparkd with its files in `folder`; stop it at the end. Another one may use the folder afterwards."""
    process = SparkdProcess(folder, build_catalogue())
    process.start()
    daemon = Daemon(process)
    try:
        yield daemon
    finally:
        daemon.control.close()
        process.stop()


def build_catalogue() -> dict[str, Any]:
    """Return the catalogue: one model at a time fits."""
    models = {}
    for model in MODELS:
        definition = build_model(model)
        models[model.name] = definition
        models[model.name + COLD] = {**definition, "warm": False}
    return {
        "memory": {"total": "6 GiB", "reserve": 0, "learn": False, "main_slots": 1},
        "paths": {"venvs": str(VENVS), "runtimes": str(RUNTIMES)},
        "models": models,
    }


def build_model(model: BenchmarkModel) -> dict[str, Any]:
    """Return a model's definition."""
    options = {"enforce-eager": True, "dtype": "float32", "max-num-seqs": 8, "kv-cache-memory-bytes": "64M"}
    return {
        "runtime": "cpu",
        "source": str(model.folder),
        "context_length": 256 if model.pooling else 1024,
        "options": {**options, **({"runner": "pooling"} if model.pooling else {})},
        "memory": "3 GiB",
        "min_residency": 0.0,
    }
