"""An installation of sparkd in a lab, with the commands of its owner."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import tomli_w

from tests.lab import Lab

CLONE: Final = Path(__file__).resolve().parent.parent.parent
BAD_ENGINE: Final = CLONE / "tests" / "bad_engine.py"
SERVICE: Final = "sparkd.service"
SOCKETS: Final = ("sparkd.socket", "sparkd-control.socket", "sparkd-writer.socket")
URL: Final = "http://127.0.0.1:8009"


class Installation:
    """A lab with sparkd in it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.before: set[str] = set()

    def install(
        self, *options: str, source: str = "/srv/lab/sparkd", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run install.sh as a user does."""
        return self.lab.run(f"{source}/install.sh", "--wheels", "/srv/lab/wheels", *options, check=check)

    def models(self, *faults: str) -> dict[str, Any]:
        """Return two models that the bad engine serves. Only one of them fits at a time."""
        return {"a": _engine(*faults), "b": _engine(*faults)}

    def catalogue(self, models: Mapping[str, Any], **settings: Any) -> None:
        """Write models into a drop-in, as an owner does."""
        memory = {"total": "10 GiB", "reserve": 0}
        changes = {
            "qwen3.5-0.8b": {"status": "disabled", "reason": "its place is kept, and the lab is small"}
        }
        document = {"models": models, "memory": memory, "changes": changes, **settings}
        self.lab.path("/etc/sparkd/models.d/lab.toml").write_text(tomli_w.dumps(document))

    @contextmanager
    def override(self, text: str) -> Iterator[None]:
        """Change [Service] settings with a drop-in, as an owner does, during the block."""
        drop_in = self.lab.path("/run/systemd/system/sparkd.service.d/lab.conf")
        drop_in.parent.mkdir(parents=True)
        drop_in.write_text(f"[Service]\n{text}\n")
        self.lab.run("systemctl", "daemon-reload")
        try:
            yield
        finally:
            drop_in.unlink()
            drop_in.parent.rmdir()
            self.lab.run("systemctl", "daemon-reload")

    def reset(self) -> None:
        """Stop everything, and open the sockets."""
        self.lab.run("systemctl", "stop", *SOCKETS, SERVICE)
        self.lab.run("systemctl", "reset-failed")
        self.lab.run("systemctl", "start", *SOCKETS)

    @property
    def key(self) -> str:
        """Return the first API key."""
        keys = self.lab.path("/etc/sparkd/keys").read_text()
        return keys.split("owner: ")[1].split()[0]

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, str]:
        """Send one HTTP request with the key; return status and body."""
        answer, _, code = self.lab.run(*self.curl(path, body)).stdout.rpartition("\n")
        return int(code), answer

    def curl(self, path: str, body: Mapping[str, Any] | None = None) -> list[str]:
        """Return the command that sends a request and prints the body, then the status."""
        return [
            *("curl", "--silent", "--show-error", "--max-time", "120", "--write-out", "\n%{http_code}"),
            *("--header", f"Authorization: Bearer {self.key}", "--header", "content-type: application/json"),
            *(["--data", json.dumps(body)] if body is not None else []),
            f"{URL}{path}",
        ]

    def chat(self, model: str, **fields: Any) -> tuple[int, str]:
        """Send one chat request, not streamed."""
        body = {"model": model, "messages": [{"role": "user", "content": "one two three"}], **fields}
        return self.ask("/v1/chat/completions", body)

    def state(self) -> str:
        return self.lab.show(SERVICE, "ActiveState")["ActiveState"]

    def pid(self) -> int:
        """Return the daemon's PID inside."""
        return int(self.lab.show(SERVICE, "MainPID")["MainPID"])

    def status(self) -> dict[str, Any]:
        """Return the output of `sparkctl status`."""
        status: dict[str, Any] = json.loads(self.lab.run("sparkctl", "status", "--json").stdout)
        return status

    def engine_pid(self, model: str) -> int:
        """Return an engine's PID inside."""
        return int(self.model(model)["pid"])

    def in_flight(self, model: str) -> int:
        """Return the number of requests that an engine is answering."""
        return int(self.model(model)["in_flight"])

    def model(self, model: str) -> dict[str, Any]:
        """Return one model's status."""
        return next(status for status in self.status()["models"] if status["id"] == model)

    def list_processes(self) -> list[str]:
        """Return every process of sparkd's user."""
        return self.lab.run("ps", "-u", "sparkd", "-o", "pid=,args=", check=False).stdout.splitlines()


def _engine(*faults: str) -> dict[str, Any]:
    program = ["/usr/bin/python3", "-S", "-E", "/srv/lab/bad_engine.py"]
    command = [*program, "--socket", "{socket}", "--model", "{model}", *faults]
    return {"engine": "command", "command": command, "memory": "6 GiB", "stop_grace": 0.5}
