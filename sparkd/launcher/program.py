"""`python -P program.py FD`: import an engine's modules once, then fork an engine for each request on a socket.

Runs in a runtime's virtualenv, so it imports nothing of sparkd but imports.py. FD is a Unix socket of type SEQPACKET.
Each message is JSON, see messages.py. The first one has the modules to import; the reply has `problem` if this process
must not be forked. Then each request has the engine's argv, environment, working directory and cgroup, and as
descriptors the engine's output and optionally its gate. The reply has the engine's PID. The program exits when the
socket is closed.

A forked engine differs from a new process only in that its imports are done. The fork is double: the engine becomes a
child of sparkd, which is a subreaper, so it lives on if this program ends.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import importlib.metadata
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":
    # The engine's own search path must not contain sparkd's packages.
    sys.path.insert(0, str(Path(__file__).parents[2]))
from sparkd.launcher.imports import (
    RecordedEnvironment,
    find_changed_variables,
    find_fork_problem,
    find_torch_build,
    import_modules,
    list_descriptors,
    read_first_environment,
    shut_down_nvml,
)

if __name__ == "__main__":
    del sys.path[0]

MAX_MESSAGE: Final = 1 << 18
"""Bytes of a message. sparkd sends none that is longer than half of that."""


class Launcher:
    """Answers requests on one socket, one after the other."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._kept: set[int] = set()
        self._environment = read_first_environment()
        self._changes: dict[str, str | None] = {}

    def run(self) -> None:
        """Import, report, then fork engines until the socket is closed."""
        while message := self._receive():
            request, descriptors = message
            if "modules" in request:
                self._reply(self._prepare(request["modules"]))
                continue
            try:
                self._reply({"pid": self._fork(request, descriptors)})
            except OSError as error:
                self._reply({"error": f"cannot fork: {error.strerror}"})
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)

    def _prepare(self, modules: list[str]) -> dict[str, Any]:
        began, before = time.monotonic(), list_descriptors()
        with suppress(ImportError):  # it finds the title's memory only in the first environment
            importlib.import_module("setproctitle").getproctitle()
        with RecordedEnvironment() as recorded:
            failed = import_modules(modules)
        self._changes = find_changed_variables(self._environment)
        set_title(["sparkd-launcher"])  # also because it does not work after the environment has changed
        shut_down_nvml()
        problem = find_fork_problem(before)
        self._kept = list_descriptors() - before
        # Objects of the imports never become garbage. Without this, each engine's collector would copy their pages.
        gc.collect()
        gc.freeze()
        return {
            "problem": problem,
            "variables": sorted(recorded.names),
            "failed": failed,
            "seconds": round(time.monotonic() - began, 3),
            "modules": len(sys.modules),
        }

    def _receive(self) -> tuple[dict[str, Any], list[int]] | None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._channel, MAX_MESSAGE, 2)
        except OSError:
            return None
        return (json.loads(data), descriptors) if data else None

    def _reply(self, reply: dict[str, Any]) -> None:
        with suppress(OSError):  # sparkd has exited: the next read finds the socket closed
            self._channel.send(json.dumps(reply).encode())

    def _fork(self, request: dict[str, Any], descriptors: list[int]) -> int:
        """Fork twice; return the engine's PID once it is a child of the subreaper."""
        flush_output()
        reader, writer = os.pipe()
        middle = os.fork()
        if middle == 0:
            self._fork_again(request, descriptors, writer)
        os.close(writer)
        with open(reader, "rb") as file:  # noqa: PTH123
            text = file.read()
        os.waitpid(middle, 0)
        if not text.isdigit():
            raise OSError(0, text.decode() or "the forked process has exited")
        return int(text)

    def _fork_again(self, request: dict[str, Any], descriptors: list[int], writer: int) -> None:
        """Enter the engine's cgroup, fork the engine in it, report its PID, and exit."""
        try:
            if cgroup := request["cgroup"]:
                with open(cgroup, "w") as file:  # noqa: PTH123
                    file.write("0")
            pid = os.fork()
        except OSError as error:
            os.write(writer, f"{error.strerror}: {error.filename or 'fork'}".encode())
            os._exit(1)
        if pid:
            os.write(writer, str(pid).encode())
            os._exit(0)
        status = 1
        try:
            self._become_engine(request, descriptors)
            status = run_program(request["argv"], forks=find_torch_build() == "cpu")
        except SystemExit as error:
            status = report_exit(error.code)
        except BaseException as error:  # noqa: BLE001 - as a new process would
            flush_output()
            sys.excepthook(type(error), error, error.__traceback__)
            if isinstance(error, KeyboardInterrupt):
                status = -signal.SIGINT
        finally:
            exit_process(status)

    def _become_engine(self, request: dict[str, Any], descriptors: list[int]) -> None:
        """Undo what this program has done to itself, and take over what a new process gets from sparkd."""
        output, *gates = descriptors
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        kept = {0, 1, 2, *gates, *self._kept}
        for descriptor in list_descriptors() - kept:
            with suppress(OSError):
                os.close(descriptor)
        os.chdir(request["directory"])
        os.environ.clear()
        os.environ.update(request["environment"])
        for name, value in self._changes.items():  # the imports have set these, whatever they were before
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        reset_process_state()
        for gate in gates:
            hold_children_until(gate)


def reset_process_state() -> None:
    """Reset what a library computed at its import from this process's directory or from random numbers."""
    tempfile.tempdir = None
    time.tzset()
    if numpy_random := sys.modules.get("numpy.random"):
        numpy_random.seed()  # `random` reseeds itself after a fork, NumPy does not


def hold_children_until(gate: int) -> None:
    """Delay the first process that the engine starts until a byte arrives on `gate`. Exit if it is closed instead.

    The first one is the engine's core, which measures the memory of the machine. Until then another model may still be
    leaving.
    """
    from multiprocessing.process import BaseProcess  # noqa: PLC0415

    kind: Any = BaseProcess
    start = kind.start

    def start_when_open(process: BaseProcess) -> None:
        kind.start = start
        if not os.read(gate, 1):
            os._exit(0)
        os.close(gate)
        start(process)

    kind.start = start_when_open


def run_program(argv: list[str], *, forks: bool) -> int:
    """Run the console script `argv[0]` with these arguments, in this process; return its exit status.

    With `forks`, the engine's own processes are forked even where it would start new ones, which import everything
    again. Without a GPU nothing speaks against it.
    """
    import multiprocessing.context as contexts  # noqa: PLC0415

    if forks:
        concrete: dict[str, Any] = contexts._concrete_contexts  # type: ignore[attr-defined] # noqa: SLF001
        concrete["spawn"] = concrete["fork"]
    main = sys.modules["__main__"]
    # A spawned child would run this file again as its main module.
    main.__dict__.pop("__file__", None)
    main.__spec__ = None
    sys.argv = argv
    sys.path.insert(0, os.path.dirname(argv[0]))  # noqa: PTH120
    set_title(argv)
    return report_exit(load_console_script(os.path.basename(argv[0]))())  # noqa: PTH119


def load_console_script(name: str) -> Callable[[], Any]:
    """Return the function that the console script of this name calls."""
    (script,) = importlib.metadata.entry_points(group="console_scripts", name=name)
    function: Callable[[], Any] = script.load()
    return function


def set_title(argv: list[str]) -> None:
    """Have ps(1) show this command, if the runtime can."""
    with suppress(ImportError):
        title = " ".join([os.path.basename(argv[0]), *argv[1:]])  # noqa: PTH119
        importlib.import_module("setproctitle").setproctitle(title)


def report_exit(code: object) -> int:
    """Return the exit status for the argument of `sys.exit`, as Python does: None is 0, text is printed."""
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    flush_output()
    print(code, file=sys.stderr)  # noqa: T201
    return 1


def exit_process(status: int) -> None:
    """End this process as Python does at the end of its main module: wait for threads, run exit functions, flush.

    A negative status is a signal that ends it.
    """
    for step in (threading._shutdown, atexit._run_exitfuncs, flush_output):  # type: ignore[attr-defined] # noqa: SLF001
        with suppress(BaseException):
            step()
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def flush_output() -> None:
    """Write what Python and C have buffered. A program may have closed its output."""
    for flush in (sys.stdout.flush, sys.stderr.flush, lambda: ctypes.CDLL(None).fflush(None)):
        with suppress(BaseException):
            flush()


if __name__ == "__main__":
    os.umask(0o077)
    Launcher(socket.socket(fileno=int(sys.argv[1]))).run()
