"""Records what happens during a swap, and when: states from the status, processes, lines of the engine's log."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.starts.daemon import Daemon
from sparkd.engines import ENGINES

INTERVAL = 0.01
"""Seconds between two checks: the precision of a timeline."""

AT_GATE = ("anon_pipe_read", "pipe_read")
"""Where the kernel shows a process that waits at its gate, in /proc/PID/wchan."""


class Recorder:
    """Looks at a swap from `rival` to `next_model`. `marks` has when each thing was first seen, in monotonic seconds.

    Marks: "rival: STATE", "rival: exited", "next: STATE", "next: forked", "next: at the gate", "phase: NAME".
    """

    def __init__(self, daemon: Daemon, rival: str, next_model: str) -> None:
        self.marks: dict[str, float] = {}
        self._control = daemon.control
        self._rival, self._next = rival, next_model
        self._rival_pid = daemon.control.model(rival).pid
        self._logs = daemon.process.folder / "state" / "logs"
        self._old_logs = set(self._logs.glob(f"{next_model}.*.log"))
        self._read = 0
        self._sparkd = daemon.process.process.pid

    def look(self) -> None:
        """Record what is new."""
        self._mark(f"rival: {self._control.model(self._rival).state}")
        if self._rival_pid and not Path(f"/proc/{self._rival_pid}").exists():
            self._mark("rival: exited")
        state = self._control.model(self._next).state
        self._mark(f"next: {state}")
        # Its status has no PID before it is launched.
        if "next: starting" not in self.marks and (pid := self._find_prepared()):
            self._mark("next: forked")
            if _read_wait_channel(pid) in AT_GATE:
                self._mark("next: at the gate")
        for line in self._read_log():
            if milestone := ENGINES["vllm"].parse_milestone(line):
                self._mark(f"phase: {milestone.phase}")

    def _mark(self, name: str) -> None:
        self.marks.setdefault(name, time.monotonic())

    def _find_prepared(self) -> int | None:
        """Return the PID of the next model's engine before its launch: a child of sparkd in that model's folder."""
        children = Path(f"/proc/{self._sparkd}/task/{self._sparkd}/children").read_text().split()
        return next((int(pid) for pid in children if f"/engines/{self._next}-" in _read_directory(pid)), None)

    def _read_log(self) -> list[str]:
        new = set(self._logs.glob(f"{self._next}.*.log")) - self._old_logs
        if not new:
            return []
        data = new.pop().read_bytes()
        end = data.rfind(b"\n") + 1
        lines = data[self._read : end].decode(errors="replace").splitlines()
        self._read = end
        return lines


@contextmanager
def recording(daemon: Daemon, rival: str, next_model: str) -> Iterator[dict[str, float]]:
    """Record until the end of the block; yield the marks."""
    recorder = Recorder(daemon, rival, next_model)
    done = threading.Event()

    def run() -> None:
        while not done.wait(INTERVAL):
            recorder.look()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield recorder.marks
    finally:
        done.set()
        thread.join()


def _read_wait_channel(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/wchan").read_text()
    return ""


def _read_directory(pid: str) -> str:
    with suppress(OSError):
        return str(Path(f"/proc/{pid}/cwd").readlink())
    return ""
