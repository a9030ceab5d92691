"""A scripted state of a machine, for pictures and for tests that look at a page full of things.

Models have names and sizes of real ones, and engines that are stand-ins: memory, phases and responses are theirs.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import httpx

from tests.e2e.sparkd_process import SparkdProcess, wait_until
from tests.e2e.warm_runtime import WarmRuntime

MIB: Final = 1 << 20

SHARDS: Final = "Loading safetensors checkpoint shards:  {}% Completed | {}/10 [00:01<00:00,  9.5it/s]"

CLIENTS: Final = ("ada", "laptop", "home", "nightly")
KEY: Final = "sk-{}"

LONG_ANSWER: Final = (
    "The moon pulls the water of the oceans towards itself, and the earth turns below it. " * 40
)


class Scene:
    """A sparkd with models in every state. `start` before anything else."""

    def __init__(self, folder: Path) -> None:
        self.runtime = WarmRuntime(folder)
        self._fifo = folder / "output"
        (folder / "keys").write_text("".join(f"{client}: {KEY.format(client)}\n" for client in CLIENTS))
        os.mkfifo(self._fifo)
        (folder / "keys").chmod(0o600)
        self.sparkd = SparkdProcess(folder, {"models": self._models(), **self._settings()})
        self._clients: list[threading.Thread] = []
        self._stop = threading.Event()
        self._writer: IO[str] | None = None

    def _settings(self) -> dict[str, Any]:
        return {
            "paths": self.runtime.paths,
            "memory": {"reserve": "4 GiB", "learn": False},
            "server": {"listen": "127.0.0.1:0", "api_key_file": "keys"},
            "keys": {client: {"role": "operate" if client == "laptop" else "ask"} for client in CLIENTS},
            "queue": {"max_wait": 1800},
            "failures": {"backoff": 3600.0, "backoff_max": 3600.0},
        }

    def _models(self) -> dict[str, Any]:
        model = self.runtime.model
        answers = {"pace": 0.04, "think": 0.3}
        return {
            "gpt-oss-20b": model(
                memory="3 GiB",
                description="OpenAI's open model, for everything",
                aliases=["gpt", "openai/gpt-oss-20b"],
                options={"allocate": 420 * MIB, **answers},
                context_length=131072,
            ),
            "qwen3-coder-30b": model(
                memory="4 GiB",
                description="For agents that write code",
                options={"allocate": 610 * MIB, **answers},
                context_length=262144,
            ),
            "gemma-3-12b-vision": model(
                memory="2.5 GiB",
                description="Sees images",
                options={"print": str(self._fifo), "allocate": 300 * MIB, **answers},
                context_length=32768,
            ),
            "llama-3.3-70b": model(
                memory="14 GiB",
                description="Large, for hard questions",
                options=answers,
                context_length=65536,
            ),
            "whisper-large-v3": model(
                memory="1 GiB",
                description="Speech to text",
                options={"exit-at-start": 3, "say": "RuntimeError: CUDA error: out of memory"},
            ),
            "bge-m3": model(memory="1 GiB", description="Embeddings", lifecycle="utility"),
            "old-mistral-7b": model(memory="1 GiB", status="disabled", reason="replaced by a newer one"),
        }

    def start(self) -> None:
        """Start sparkd."""
        self.sparkd.start()

    def stop(self) -> None:
        """End the clients, then sparkd."""
        self._stop.set()
        self.finish_load()
        for client in self._clients:
            client.join()
        self.sparkd.stop()

    def play(self) -> None:
        """Bring about the state: two models that answer, one that loads, one that failed, requests that wait."""
        self.teach_load_times()
        for model in ("gpt-oss-20b", "qwen3-coder-30b"):
            self.ask(model, stream=False, text="one two three")
        with contextlib.suppress(httpx.HTTPError):
            self.ask("whisper-large-v3", stream=False)
        for model, client, agent in (
            ("gpt-oss-20b", "ada", "claude-cli/2.0 (external, cli)"),
            ("qwen3-coder-30b", "laptop", "opencode/1.0"),
            ("qwen3-coder-30b", "nightly", "OpenAI/Python 2.0"),
        ):
            self.begin(model, client, agent)
        wait_until("requests are answered", lambda: self.sparkd.model("qwen3-coder-30b").in_flight == 2)
        self.begin("gemma-3-12b-vision", "home", "OpenWebUI/0.6")
        wait_until("it loads", lambda: self.sparkd.model("gemma-3-12b-vision").state == "starting")
        self.say(SHARDS.format(40, 4))
        for client, agent in (("laptop", "aider/0.9"), ("home", "home-assistant/2026.11")):
            self.begin("llama-3.3-70b", client, agent)
        wait_until("requests wait", lambda: self.sparkd.status().queue.waiting >= 3)
        wait_until("weights are loading", lambda: self.sparkd.model("gemma-3-12b-vision").progress)

    def teach_load_times(self) -> None:
        """Load the model once, so that later loads have usual times."""
        self.begin("gemma-3-12b-vision", "laptop", "curl/8", once=True)
        wait_until("it loads", lambda: self.sparkd.model("gemma-3-12b-vision").state == "starting")
        for percent in (0, 50, 100):
            self.say(SHARDS.format(percent, percent // 10))
            time.sleep(0.6)
        self.say("Loading weights took 1.20 seconds", "torch.compile took 0.4 s", "KV cache size: 9 GiB")
        time.sleep(0.5)
        self.say("Capturing CUDA graphs: 100%")
        time.sleep(0.3)
        self.finish_load()
        self.sparkd.until("gemma-3-12b-vision", "ready")
        self.sparkd.sparkctl("stop", "gemma-3-12b-vision")

    def say(self, *lines: str) -> None:
        """Have the engine that loads print these lines, once it reads them."""
        if self._writer is None:
            self._writer = wait_until("the engine reads", self._open)
        self._writer.write("".join(f"{line}\n" for line in lines))
        self._writer.flush()

    def finish_load(self) -> None:
        """Have the engine that loads be ready."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self) -> IO[str] | None:
        try:
            return os.fdopen(os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK), "w")
        except OSError:  # nobody reads yet
            return None

    def ask(
        self,
        model: str,
        client: str = "laptop",
        agent: str = "curl/8",
        *,
        text: str = LONG_ANSWER,
        stream: bool = True,
    ) -> None:
        """Send one request, and read its response until the scene ends."""
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}
        url = f"{self.sparkd.url}/v1/chat/completions"
        headers = {"user-agent": agent, "x-api-key": KEY.format(client)}
        with httpx.stream("POST", url, json=body, headers=headers, timeout=600) as answer:
            for _ in answer.iter_raw():
                if self._stop.is_set():
                    return

    def begin(self, model: str, client: str, agent: str, *, once: bool = False) -> None:
        """Have a client send one request after the other, until the scene ends."""

        def run() -> None:
            while not self._stop.is_set():
                with contextlib.suppress(httpx.HTTPError):
                    self.ask(model, client, agent)
                if once:
                    return

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self._clients.append(thread)


@contextlib.contextmanager
def playing(folder: Path) -> Iterator[Scene]:
    """A scene that has been played."""
    scene = Scene(folder)
    scene.start()
    try:
        scene.play()
        yield scene
    finally:
        scene.stop()
