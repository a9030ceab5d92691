"""A build that is killed with -9, in the middle of its download and in the middle of its checks."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sparkd.runtimes import find_installed, list_builds
from tests.runtimes.tiny import Tiny


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return Tiny(tmp_path)


@contextmanager
def building(tiny: Tiny, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The same build in a process of its own."""
    program = """
import sys
from pathlib import Path
from sparkd.catalog.runtime import Runtime
from sparkd.runtimes import build
import msgspec
keys = msgspec.json.decode((Path(sys.argv[1]) / "runtime.toml").read_bytes())
runtime = msgspec.convert({"name": "tiny", "folder": "", **keys}, Runtime, dec_hook=lambda kind, value: kind(value))
runtime = msgspec.structs.replace(runtime, folder=Path(sys.argv[1]))
build(runtime, Path(sys.argv[2]), print)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tiny.runtime.folder), str(tiny.root)],
        env={**tiny.environment, **environment},
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.01)


def assert_cleared_and_built(tiny: Tiny) -> None:
    folder = tiny.build()
    assert find_installed(tiny.runtime, tiny.root) == folder
    assert sorted(path.name for path in tiny.root.iterdir()) == [".cache", ".lock", folder.name]


def test_a_build_killed_in_its_checks_leaves_nothing_that_looks_finished(tiny: Tiny) -> None:
    started = tiny.place / "started"
    tiny.define(tiny.lock, smoke=(("tiny", "--slow"),), environment={"TINY_STARTED": str(started)})
    with building(tiny, {}):
        wait_for(started)
    assert list(tiny.root.glob("tiny-*.building-*")), "it was killed in the middle"
    assert find_installed(tiny.runtime, tiny.root) is None
    assert list_builds(tiny.root) == []
    assert_cleared_and_built(tiny)


def test_a_build_killed_in_its_download_does_not_fall_into_the_next_one(tiny: Tiny) -> None:
    asked, stop = tiny.place / "asked", threading.Event()
    with stalling_index(tiny.wheel, asked, stop) as index:
        with building(
            tiny, {"PIP_INDEX_URL": index, "UV_OFFLINE": "0", "PIP_FIND_LINKS": "", "UV_HTTP_RETRIES": "0"}
        ):
            wait_for(asked)
        assert list_builds(tiny.root) == []
        # The killed build's uv continues until the index closes the connection: once the next build waits for it.
        tiny.on_wait = stop.set
        assert_cleared_and_built(tiny)
    assert any(line.startswith("Waiting for another build") for line in tiny.lines)


@contextmanager
def stalling_index(wheel: Path, asked: Path, stop: threading.Event) -> Iterator[str]:
    """A package index on loopback that begins to send the wheel, and stalls."""

    class Index(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            page = f'<a href="/{wheel.name}">{wheel.name}</a>'.encode()
            whole = self.path.endswith("/")
            content = page if whole else wheel.read_bytes()
            self.send_response(200)
            self.send_header("content-type", "text/html" if whole else "application/octet-stream")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if not whole:
                asked.touch()
                stop.wait(120)
                return
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        stop.set()
        server.shutdown()
        server.server_close()
        thread.join()
