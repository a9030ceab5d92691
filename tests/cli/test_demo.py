"""`sparkctl demo`, for real: a real vLLM answers through sparkd."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil

from tests.models import CLONE

DEMO = (sys.executable, "-m", "sparkd.cli", "demo")


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def find_free_port() -> int:
    with taken_port() as port:
        return port


def test_a_taken_port_is_told_with_its_owner_before_anything_is_done() -> None:
    with taken_port() as port:
        demo = subprocess.run([*DEMO, "--port", str(port)], capture_output=True, text=True, check=False)
    assert demo.returncode == 1
    assert demo.stdout == ""
    assert f"Cannot listen on port {port}: Address already in use by process" in demo.stderr
    assert f"--port {port + 1}" in demo.stderr


def test_the_demo_answers_serves_and_ends_with_ctrl_c_leaving_nothing() -> None:
    port = find_free_port()
    demo = subprocess.Popen(
        [*DEMO, "--port", str(port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/"
    )
    with demo:
        assert demo.stdout
        assert demo.stderr
        errors: list[str] = []
        drain = threading.Thread(target=errors.extend, args=(demo.stderr,))
        drain.start()
        try:
            shown = ""
            for line in demo.stdout:
                shown += line
                if line.rstrip().endswith(" status"):
                    break
            assert re.search(r"Answer +The capital of France is Paris\.", shown), [shown, *errors]
            assert re.search(r"started in [\d.]+ s; first token after [\d.]+ s, then \d+ tokens/s", shown)
            assert f"curl http://127.0.0.1:{port}/v1/chat/completions" in shown
            health = httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False)
            assert health.status_code == 200
            family = psutil.Process(demo.pid).children(recursive=True)
            assert len(family) >= 4, "sparkd, and vLLM's three"
        finally:
            demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
        drain.join()
    assert [process for process in family if is_alive(process)] == []
    assert is_free(port)
    assert not list((CLONE / ".sparkd" / "demo" / "run" / "engines").glob("*"))


def is_alive(process: psutil.Process) -> bool:
    # An orphan that has ended is a zombie until the machine's init looks at it.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
