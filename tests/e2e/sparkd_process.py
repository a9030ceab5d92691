"""A real sparkd on a port of its own, with a catalogue for one test, and checks for what it leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import psutil
import tomli_w
from openai import OpenAI

from sparkd.control.client import ControlClient
from sparkd.scheduling.status import ModelStatus, Status

BAD_ENGINE = Path(__file__).resolve().parent.parent / "bad_engine.py"


def wait_until(description: str, condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Call `condition` until its result is truthy, and return it; fail after `seconds`, which only limits a hang."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} seconds: {description}")


def engine(*faults: str, tcp: bool = False, **fields: Any) -> dict[str, Any]:
    """Return a model that the bad engine serves."""
    listen_flags = ["--host", "{host}", "--port", "{port}"] if tcp else ["--socket", "{socket}"]
    program = [sys.executable, "-S", "-E", str(BAD_ENGINE), *listen_flags, "--model", "{model}", *faults]
    return {"engine": "command", "command": program, "memory": "1 GiB", **fields}


class SparkdProcess:
    """One sparkd process: its catalogue, its log, its sockets."""

    def __init__(self, folder: Path, catalogue: Mapping[str, Any]) -> None:
        self.folder = folder
        self.catalogue = folder / "models.toml"
        self.output = folder / "sparkd.log"
        self.events = folder / "events"
        settings = {
            "server": {"listen": "127.0.0.1:0"},
            "memory": {"total": "10 GiB", "reserve": 0, "learn": False},
        }
        self.catalogue.write_text(tomli_w.dumps({**settings, **catalogue}))
        self.port = 0

    def start(
        self, environment: Mapping[str, str] = os.environ, stdin: IO[str] | int = subprocess.DEVNULL
    ) -> None:
        """Start sparkd and wait until it listens."""
        environment = {**environment, "NO_COLOR": "1"}
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sparkd", "--catalogue", str(self.catalogue)],
                stdout=output,
                stderr=output,
                stdin=stdin,
                env=environment,
                cwd=self.folder,
            )
        self.port = int(wait_until("sparkd listens", self._read_listen)[0].rpartition(":")[2])

    def _read_listen(self) -> tuple[str, ...] | None:
        assert self.process.poll() is None, self.output.read_text()
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(str(self.folder / "run" / "control.sock"))
            except OSError:
                return None
        return self.status().listen

    def stop(self, number: int = signal.SIGTERM, seconds: float = 120.0) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def openai(self, **fields: Any) -> OpenAI:
        """Return an OpenAI client of this sparkd."""
        return OpenAI(
            **{"base_url": f"{self.url}/v1", "api_key": "none", "max_retries": 0, "timeout": 300, **fields}
        )

    def chat(self, model: str, text: str = "one two three", **fields: Any) -> httpx.Response:
        """Send one chat request, not streamed."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=300)

    @contextmanager
    def streaming(self, model: str, text: str = "one two three", **fields: Any) -> Iterator[Iterator[str]]:
        """Send one streamed chat request; yield its `data:` lines as they arrive."""
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": text}], **fields}
        with httpx.stream("POST", f"{self.url}/v1/chat/completions", json=body, timeout=300) as answer:
            assert answer.status_code == 200, answer.read()
            yield (line for line in answer.iter_lines() if line)

    @contextmanager
    def waiting_client(self, model: str) -> Iterator[None]:
        """A client that has sent a request, reads nothing, and disconnects at the end of the block."""
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(head.encode() + body)
            yield

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of the real sparkctl for this sparkd."""
        return [sys.executable, "-m", "sparkd.cli", "--catalogue", str(self.catalogue), *arguments]

    def sparkctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run sparkctl."""
        command = self.command(*arguments)
        environment = {**os.environ, "NO_COLOR": "1"}
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=300, env=environment
        )

    def status(self) -> Status:
        with ControlClient(self.folder / "run" / "control.sock") as control:
            return control.status()

    def model(self, model: str) -> ModelStatus:
        status = self.status().model(model)
        assert status is not None
        return status

    def until(self, model: str, state: str, seconds: float = 60.0) -> ModelStatus:
        """Wait until the model is in that state."""

        def read_status() -> ModelStatus | None:
            status = self.model(model)
            return status if status.state == state else None

        status: ModelStatus = wait_until(f"{model} is {state}", read_status, seconds)
        return status

    def journal(self) -> list[dict[str, Any]]:
        """Return the events of the bad engines, if they were started with `--journal` at `events`."""
        if not self.events.exists():
            return []
        return [json.loads(line) for line in self.events.read_text().splitlines()]

    def log(self) -> str:
        return self.output.read_text()

    def processes(self) -> list[psutil.Process]:
        """Return every process that works in this sparkd's run folder: engines and everything they forked."""
        return [process for process in psutil.process_iter() if _works_in(process, self.folder / "run")]

    def assert_nothing_left(self) -> None:
        """Check that no process, no private folder and no socket is left."""
        wait_until("every engine process is gone", lambda: not self.processes())
        engines = self.folder / "run" / "engines"
        assert not (list(engines.iterdir()) if engines.exists() else [])


def watched_pids(sparkd: SparkdProcess) -> set[int]:
    """Return the processes of which sparkd has a pidfd."""
    found: set[int] = set()
    for file in Path(f"/proc/{sparkd.process.pid}/fdinfo").iterdir():
        try:
            found.update(map(int, re.findall(r"^Pid:\t(\d+)", file.read_text(), re.MULTILINE)))
        except FileNotFoundError:
            continue
    return found


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(folder)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
