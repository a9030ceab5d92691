"""Runs the programs of a build until they exit, kills what they leave behind, and keeps their output."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

Report = Callable[[str], None]

_TAIL = 15  # lines to show of a failed program's output
_OUTPUT_TIMEOUT = 5.0  # seconds to wait for the last output of an exited program

# uv's messages: https://github.com/astral-sh/uv, crates/uv-client and crates/uv-distribution.
_MEANINGS = (
    (re.compile(r"hash mismatch", re.IGNORECASE), "a file does not have the hash in the lock file"),
    (re.compile(r"no space left on device", re.IGNORECASE), "the disk is full"),
    (
        re.compile(
            r"dns error|error sending request|failed to (fetch|connect)|timed? ?out|offline", re.IGNORECASE
        ),
        "cannot reach the package index; check the network",
    ),
    (re.compile(r"no solution found", re.IGNORECASE), "a pinned package does not exist for this machine"),
)

# Sequences that move the cursor or colour text, and parts of a line that were overwritten.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|.*\r(?!$)")

# A line of uv's list of installed packages. It has hundreds of lines, which are in the lock file already.
_LISTED = re.compile(r" \+ \S+==")


class ProgramFailed(Exception):
    """A program of a build failed. `lines` is the end of its output."""

    def __init__(self, outcome: str, lines: Sequence[str]) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.lines = lines

    def describe(self, what: str) -> str:
        """`what` failed, the reason, and the relevant lines: from the first with "error", or the last ones."""
        first = next((n for n, line in enumerate(self.lines) if line.startswith("error")), 0)
        return "\n    ".join([f"{what}: {self._explain()}", *self.lines[first:]])

    def _explain(self) -> str:
        text = "\n".join(self.lines)
        return next((meaning for pattern, meaning in _MEANINGS if pattern.search(text)), self.outcome)


def run_program(
    argv: Sequence[str],
    *,
    directory: Path,
    environ: Mapping[str, str],
    lock: IO[bytes] | None = None,
    report: Report = lambda _: None,
    terminal: bool = False,
    timeout: float | None = None,
) -> str:
    """Run a program until it exits, report its output line by line, and return it (stdout and stderr together).

    With `terminal`, its output goes to the terminal instead, with progress bars. The program inherits `lock`. Processes
    that it leaves behind are killed. `timeout` is in seconds. Raises ProgramFailed.
    """
    ours, theirs = _open_terminal() if terminal else os.pipe()
    try:
        process = subprocess.Popen(
            argv,
            cwd=directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            pass_fds=() if lock is None else (lock.fileno(),),
        )
    except OSError as error:
        os.close(ours)
        raise ProgramFailed(f"cannot start {argv[0]} ({error.strerror})", ()) from error
    finally:
        os.close(theirs)
    output = _Output(ours, report, _Display() if terminal else None)
    with process, _kill_at_end(process, timeout) as timed_out:
        # Not reaped here: its PID must stay reserved until the whole group is killed.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    lines = output.finish()
    if process.returncode != 0:
        name, code = Path(argv[0]).name, process.returncode
        outcome = f"exit code {code}" if code > 0 else signal.Signals(-code).name
        outcome = f"timeout after {timeout:.0f} s" if timed_out.is_set() else outcome
        raise ProgramFailed(f"{name} failed ({outcome})", list(filter(None, lines))[-_TAIL:])
    return "\n".join(lines)


@contextlib.contextmanager
def _kill_at_end(process: subprocess.Popen[bytes], timeout: float | None) -> Iterator[threading.Event]:
    """Kill the whole group of `process` at the end, or after `timeout`, which sets the event."""
    timed_out = threading.Event()

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def end() -> None:
        timed_out.set()
        kill()

    timer = threading.Timer(timeout or 0, end)
    if timeout:
        timer.start()
    try:
        yield timed_out
    finally:
        timer.cancel()
        kill()


def _open_terminal() -> tuple[int, int]:
    """Both ends of a pseudo-terminal with the size of this terminal."""
    ours, theirs = os.openpty()
    with contextlib.suppress(OSError):
        size = fcntl.ioctl(sys.stderr.fileno(), termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    return ours, theirs


class _Output:
    """Reads a program's output in a thread, so that a child that it leaves behind cannot block."""

    def __init__(self, source: int, report: Report, display: _Display | None) -> None:
        self._source = source
        self._report = report
        self._display = display
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def finish(self) -> list[str]:
        self._thread.join(_OUTPUT_TIMEOUT)
        return list(self._lines)

    def _read(self) -> None:
        rest = b""
        while chunk := self._chunk():
            if self._display:
                self._display.show(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._add_line(line)
        if rest:
            self._add_line(rest)
        os.close(self._source)

    def _chunk(self) -> bytes:
        try:
            return os.read(self._source, 65536)
        except OSError:  # a terminal whose other end is closed gives EIO, where a pipe gives end of file
            return b""

    def _add_line(self, line: bytes) -> None:
        text = _CONTROL.sub("", line.decode(errors="replace").rstrip())
        self._lines.append(text)
        if self._display is None and not _LISTED.match(text):
            self._report(text)


class _Display:
    """Copies a program's output to stderr, without uv's list of installed packages."""

    def __init__(self) -> None:
        self._pending = b""

    def show(self, chunk: bytes) -> None:
        lines = (self._pending + chunk).splitlines(keepends=True)
        # A line that starts with a space may be part of that list, so it is shown when it is complete.
        self._pending = lines.pop() if lines[-1].startswith(b" ") and not lines[-1].endswith(b"\n") else b""
        for line in lines:
            if not _LISTED.match(_CONTROL.sub("", line.decode(errors="replace"))):
                sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
