"""Runs the programs of a build: to their end, with all they started, and with their output kept."""

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

_TAIL = 15  # lines of a failed program's output that are worth showing
_LAST_WORDS = 5.0  # seconds for what an ended program wrote to arrive

# uv's words for it: https://github.com/astral-sh/uv, crates/uv-client and crates/uv-distribution.
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

# What moves the cursor or colours text; and what a line said before it was written over.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|.*\r(?!$)")

# A line of uv's list of what it installed: hundreds of them, and the lock file has them already.
_LISTED = re.compile(r" \+ \S+==")


class ProgramFailed(Exception):
    """A program of a build ended badly. `lines` is the end of its output."""

    def __init__(self, how: str, lines: Sequence[str]) -> None:
        super().__init__(how)
        self.how = how
        self.lines = lines

    def told(self, what: str) -> str:
        """`what` could not be done, why, and the lines to look at: from the one that says "error", or the last ones."""
        first = next((n for n, line in enumerate(self.lines) if line.startswith("error")), 0)
        return "\n    ".join([f"{what}: {self._meaning()}", *self.lines[first:]])

    def _meaning(self) -> str:
        text = "\n".join(self.lines)
        return next((meaning for pattern, meaning in _MEANINGS if pattern.search(text)), self.how)


def run(
    argv: Sequence[str],
    *,
    directory: Path,
    environ: Mapping[str, str],
    lock: IO[bytes] | None = None,
    report: Report = lambda _: None,
    terminal: bool = False,
    timeout: float | None = None,
) -> str:
    """Runs a program to its end and returns what it printed (stdout and stderr as one), reporting line by line.

    With `terminal` it is shown on ours instead, progress bars and all. It inherits `lock`. Whatever it leaves running
    is killed. `timeout` is in seconds. Raises ProgramFailed.
    """
    ours, theirs = _terminal() if terminal else os.pipe()
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
    output = _Output(ours, report, _Screen() if terminal else None)
    with process, _ended(process, timeout) as late:
        # Not reaped here: its number stays its own until the whole group is killed.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    lines = output.end()
    if process.returncode != 0:
        name, code = Path(argv[0]).name, process.returncode
        how = f"exit code {code}" if code > 0 else signal.Signals(-code).name
        how = f"timeout after {timeout:.0f} s" if late.is_set() else how
        raise ProgramFailed(f"{name} failed ({how})", list(filter(None, lines))[-_TAIL:])
    return "\n".join(lines)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes], timeout: float | None) -> Iterator[threading.Event]:
    """Kills the whole group of `process` at the end, or after `timeout`; the event says that it was late."""
    late = threading.Event()

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def end() -> None:
        late.set()
        kill()

    timer = threading.Timer(timeout or 0, end)
    if timeout:
        timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        kill()


def _terminal() -> tuple[int, int]:
    """Both ends of a terminal as wide as ours."""
    ours, theirs = os.openpty()
    with contextlib.suppress(OSError):
        size = fcntl.ioctl(sys.stderr.fileno(), termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    return ours, theirs


class _Output:
    """Reads a program's output in a thread, so that a child it leaves behind cannot hold us up."""

    def __init__(self, source: int, report: Report, screen: _Screen | None) -> None:
        self._source = source
        self._report = report
        self._screen = screen
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def end(self) -> list[str]:
        self._thread.join(_LAST_WORDS)
        return list(self._lines)

    def _read(self) -> None:
        rest = b""
        while chunk := self._chunk():
            if self._screen:
                self._screen.show(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take(line)
        if rest:
            self._take(rest)
        os.close(self._source)

    def _chunk(self) -> bytes:
        try:
            return os.read(self._source, 65536)
        except OSError:  # a terminal whose other end is closed says EIO where a pipe says end of file
            return b""

    def _take(self, line: bytes) -> None:
        text = _CONTROL.sub("", line.decode(errors="replace").rstrip())
        self._lines.append(text)
        if self._screen is None and not _LISTED.match(text):
            self._report(text)


class _Screen:
    """Shows on our stderr what a program draws, less uv's list of what it installed."""

    def __init__(self) -> None:
        self._held = b""

    def show(self, chunk: bytes) -> None:
        lines = (self._held + chunk).splitlines(keepends=True)
        # A line that begins with a blank may become one of the list: it is shown when it is whole.
        self._held = lines.pop() if lines[-1].startswith(b" ") and not lines[-1].endswith(b"\n") else b""
        for line in lines:
            if not _LISTED.match(_CONTROL.sub("", line.decode(errors="replace"))):
                sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
