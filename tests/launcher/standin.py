"""The program of the stand-in runtime: describes its process, or ends in one of many ways. Imports no package."""

from __future__ import annotations

import atexit
import ctypes
import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any


def main() -> Any:
    """Run one of the functions below, whose name is the first argument; its result is the exit code."""
    name, *arguments = sys.argv[1:]
    return globals()[name.replace("-", "_")](*arguments)


def describe() -> None:
    """Print everything that a program can see of its process."""
    print(json.dumps(describe_process(), default=str))


def describe_process() -> dict[str, Any]:
    descriptors = {int(name): read_link(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")}  # noqa: PTH208
    status = Path("/proc/self/status").read_text().splitlines()
    fields = ("SigBlk", "SigIgn", "SigCgt", "SigPnd", "CapEff", "NoNewPrivs", "Groups", "Seccomp", "Threads")
    main_module = sys.modules["__main__"]
    return {
        "leads a session": os.getpid() == os.getsid(0) == os.getpgrp(),
        "parent": os.getppid(),
        "descriptors": {number: path for number, path in descriptors.items() if path},
        "inheritable": [number for number in descriptors if is_inheritable(number)],
        "one output": os.fstat(1).st_ino == os.fstat(2).st_ino,
        "standard input": sys.stdin.read(),
        "dispositions": {number: str(signal.getsignal(number)) for number in signal.valid_signals()},
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "status": [line for line in status if line.startswith(fields)],
        "timers": [signal.getitimer(number) for number in (0, 1, 2)],
        "umask": os.umask(0o077),
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in list_limits()},
        "nice": os.nice(0),
        "affinity": sorted(os.sched_getaffinity(0)),
        "scheduler": os.sched_getscheduler(0),
        "directory": str(Path.cwd()),
        "environment": dict(os.environ),
        "arguments": sys.argv,
        "executable": sys.executable,
        "prefix": sys.prefix,
        "path": sys.path,
        "flags": str(sys.flags),
        "warnings": sys.warnoptions,
        "hooks": [sys.excepthook is sys.__excepthook__, sys.unraisablehook is sys.__unraisablehook__],
        "main": sorted(vars(main_module)),
        "name": main_module.__name__,
        "file": getattr(main_module, "__file__", None),
        "spec": str(main_module.__spec__),
        "encodings": [sys.stdout.encoding, sys.stderr.encoding, sys.getfilesystemencoding()],
        "buffering": [sys.stdout.line_buffering, sys.stderr.line_buffering],
        "temporary folder": tempfile.gettempdir(),
        "time zone": time.tzname,
        "threads": [thread.name for thread in threading.enumerate()],
        "start method": multiprocessing.get_start_method(),
        "process name": multiprocessing.current_process().name,
        "out of memory score": Path("/proc/self/oom_score_adj").read_text(),
        "cgroup": Path("/proc/self/cgroup").read_text(),
    }


def is_inheritable(descriptor: int) -> bool:
    try:
        return os.get_inheritable(descriptor)
    except OSError:  # it was used to list the others
        return False


def read_link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""


def list_limits() -> list[str]:
    return sorted(name for name in vars(resource) if name.startswith("RLIMIT_"))


def draw() -> None:
    """Print random numbers of each kind."""
    print(random.random(), uuid.uuid4(), os.urandom(4).hex(), next(tempfile._get_candidate_names()))  # type: ignore[attr-defined]


def leave(kind: str) -> Any:
    """End in this way."""
    print("output")
    values: dict[str, Any] = {"none": None, "zero": 0, "three": 3, "many": 259, "minus": -1, "text": "a text"}
    if kind.startswith("return-"):
        return values[kind.removeprefix("return-")]
    if kind == "error":
        raise ValueError("an error of the program")
    if kind == "interrupt":
        raise KeyboardInterrupt
    if kind == "abort":
        os.abort()
    if kind == "at-once":
        os._exit(7)
    sys.exit(values[kind])


def finish_late() -> None:
    """Leave a thread and exit functions behind, which Python runs before it ends."""
    atexit.register(print, "registered first")
    atexit.register(print, "registered last")
    threading.Timer(0.1, print, ["thread"]).start()
    print("main")


def print_in_c() -> None:
    """Leave output in the buffer of the C library."""
    ctypes.CDLL(None).printf(b"printed in C\n")


def fail_at_exit() -> None:
    """Leave an exit function that fails, and one that runs after it."""
    atexit.register(print, "after")
    atexit.register(lambda: 1 / 0)


def multiply(number: int) -> int:
    return number * 2


def spawn() -> None:
    """Use children of each kind."""
    for method in ("spawn", "fork", "forkserver"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(method, pool.map(multiply, [1, 2]))


def start_child(*_: str) -> None:
    """Print, start a child, and print that it has ended."""
    print("before", flush=True)
    child = multiprocessing.get_context("fork").Process(target=print, args=("child",), kwargs={"flush": True})
    child.start()
    child.join()
    print("after", child.exitcode, flush=True)


def start_child_and_wait() -> None:
    """Start a child, print a line, and sleep."""
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)).start()
    wait()


def wait(seconds: str = "600") -> None:
    """Print a line, then sleep."""
    print("waiting", os.getpid(), flush=True)
    time.sleep(float(seconds))


def leave_child() -> None:
    """Leave a child that outlives this process."""
    if os.fork() == 0:
        time.sleep(600)
    print("left", flush=True)


def show(*names: str) -> None:
    """Print variables of the environment, as Python and as C see them, and those that a child gets."""
    get = ctypes.CDLL(None).getenv
    get.restype = ctypes.c_char_p
    for name in names:
        seen = get(name.encode())
        child = subprocess.run(
            ["sh", "-c", f"echo ${{{name}-None}}"], capture_output=True, text=True, check=True
        )
        print(name, os.environ.get(name), seen and seen.decode(), child.stdout.strip())


def use(module: str) -> None:
    """Print what the function `use` of a module returns."""
    print(__import__(module).use())
