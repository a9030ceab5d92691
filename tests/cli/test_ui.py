"""`sparkctl ui`: a port of localhost for the page, for one user only."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sparkd.cli.ui.bridge import Bridge, listen
from sparkd.cli.ui.peers import find_user
from tests.cli.running import clean_environment, command, sparkctl
from tests.e2e.sparkd_process import SparkdProcess, engine


@pytest.fixture
def sparkd() -> Iterator[SparkdProcess]:
    with tempfile.TemporaryDirectory(prefix="sparkd-ui-") as folder:  # short: sockets live below it
        sparkd = SparkdProcess(Path(folder), {"models": {"quick": engine()}})
        sparkd.start()
        yield sparkd
        if sparkd.process.poll() is None:
            sparkd.stop()


@contextmanager
def run_ui(sparkd: SparkdProcess) -> Iterator[str]:
    """The address of the page while sparkctl ui runs."""
    argv = command("ui", "--json", "--socket", sparkd.folder / "run" / "control.sock")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=clean_environment()) as running:
        assert running.stdout is not None
        found = json.loads(running.stdout.readline())
        port = found["url"].split(":")[2].split("/")[0]
        assert found["ssh"].startswith(f"ssh -L {port}:{sparkd.folder}/run/control.sock ")
        yield found["url"]
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130


def test_the_page_its_api_and_its_events_are_served(sparkd: SparkdProcess) -> None:
    with run_ui(sparkd) as url:
        page = httpx.get(url)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert httpx.get(f"{url}api/status").json()["version"] == sparkd.status().version
        with httpx.stream("GET", f"{url}api/events") as events:
            assert (
                next(line for line in events.iter_lines() if line.startswith("event:")) == "event: snapshot"
            )
        loaded = httpx.post(f"{url}api/models/quick/load", headers={"x-sparkd-request": "1"}, timeout=60)
        assert loaded.json()["state"] == "ready"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_other_pages_of_the_browser_are_rejected(sparkd: SparkdProcess, headers: dict[str, str]) -> None:
    with run_ui(sparkd) as url:
        assert httpx.get(f"{url}api/status", headers=headers).status_code == 403
        assert httpx.post(f"{url}api/models/quick/load", headers=headers).status_code == 403
        assert sparkd.model("quick").state == "stopped"


def test_it_waits_for_a_daemon_that_restarts(sparkd: SparkdProcess) -> None:
    with run_ui(sparkd) as url:
        sparkd.stop(signal.SIGKILL)
        answer = httpx.get(url)
        assert (answer.status_code, "sparkd is not running" in answer.text) == (503, True)
        sparkd.start()
        assert httpx.get(url).status_code == 200


def test_it_listens_on_loopback_only() -> None:
    listeners = listen(None, 0)
    addresses = [listener.getsockname()[0] for listener in listeners]
    for listener in listeners:
        listener.close()
    assert set(addresses) <= {"127.0.0.1", "::1"}


def test_a_port_in_use_is_an_error_that_names_it(sparkd: SparkdProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = sparkctl("ui", "--port", str(port), "--socket", sparkd.folder / "run" / "control.sock")
    assert result.code == 1
    assert f"cannot listen on port {port} of localhost" in result.err


def test_without_a_daemon_it_fails(tmp_path: Path) -> None:
    assert sparkctl("ui", "--socket", tmp_path / "none.sock").code == 3


def test_the_user_of_a_connection_is_found() -> None:
    for host in ("127.0.0.1", "::1"):
        with socket.create_server(
            (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        ) as server:
            client = socket.create_connection(server.getsockname()[:2])
            accepted, _ = server.accept()
            one, other = client.getsockname()[:2], accepted.getsockname()[:2]
            with accepted:
                assert find_user(one, other) == os.geteuid()
                assert find_user(("127.0.0.1", 1), other) is None
                # The kernel's table gives root for a connection that its process has closed.
                client.close()
                assert find_user(one, other) is None


def test_another_user_is_rejected_before_anything_reaches_the_daemon(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(str(path))
        control.listen()
        control.setblocking(False)
        listeners = listen(None, 0)
        port = listeners[0].getsockname()[1]
        loop = asyncio.new_event_loop()
        serving = loop.create_task(Bridge(path, {os.geteuid() + 1}).serve(listeners))

        def run() -> None:
            with pytest.raises(asyncio.CancelledError):
                loop.run_until_complete(serving)
            loop.close()

        thread = threading.Thread(target=run)
        thread.start()
        answer = httpx.get(f"http://127.0.0.1:{port}/ui/")
        assert (answer.status_code, "only for the user" in answer.text) == (403, True)
        with pytest.raises(BlockingIOError):
            control.accept()
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()
