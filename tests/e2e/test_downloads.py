"""Models that are not on disk: a whole sparkd, a hub of our own, and sparkctl."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from sparkd.hub.layout import INCOMPLETE, repository_folder
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until
from tests.hub.server import Hub, a_repository, digest, running_hub, safetensors

Open = Callable[..., SparkdProcess]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


@pytest.fixture
def open_daemon(build: Open, folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Start a sparkd that knows this hub; it must stop cleanly and leave nothing."""
    for name, value in {"HF_ENDPOINT": hub.url, "HF_HUB_DOWNLOAD_TIMEOUT": "2", "HOME": str(folder)}.items():
        monkeypatch.setenv(name, value)
    return build


def takes(source: str, **fields: Any) -> dict[str, Any]:
    """A model whose engine is given that source."""
    model = engine(source=source, **fields)
    model["command"][model["command"].index("{model}")] = "{source}"
    return model


def blob(sparkd: SparkdProcess, data: bytes) -> Path:
    return repository_folder(sparkd.folder / "models", "org/m") / "blobs" / digest(data)


def slow(hub: Hub, size: int = 3_000_000, pace: float = 0.02) -> bytes:
    data = safetensors(size)
    hub.add("org/m", {"model.safetensors": data, "config.json": b"{}"})
    hub.faults.pace = pace
    return data


class PendingRequest:
    """A client that asks for a model, in a thread."""

    def __init__(self, sparkd: SparkdProcess, model: str = "m") -> None:
        self.answer: httpx.Response | None = None
        self._thread = threading.Thread(target=self._ask, args=(sparkd, model))
        self._thread.start()

    def _ask(self, sparkd: SparkdProcess, model: str) -> None:
        self.answer = sparkd.chat(model)

    def result(self) -> httpx.Response:
        self._thread.join(30)
        assert self.answer is not None
        return self.answer


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return error


def test_a_request_for_what_is_not_on_disk_is_refused_at_once_with_the_command(
    open_daemon: Open, hub: Hub
) -> None:
    hub.add("org/m", a_repository())
    sparkd = open_daemon({"m": takes("org/m")})
    answer = sparkd.chat("m")
    assert answer.status_code == 503
    assert error_of(answer) == {
        "message": "Model m is not on disk: `sparkctl pull m` downloads it.",
        "type": "service_unavailable_error",
        "code": "model_not_on_disk",
        "param": "model",
    }
    assert "retry-after" not in answer.headers
    assert sparkd.model("m").state == "stopped"
    assert not hub.asked


def test_after_a_pull_the_model_answers(open_daemon: Open, hub: Hub) -> None:
    hub.add("org/m", a_repository())
    sparkd = open_daemon({"m": takes("org/m")})
    assert sparkd.chat("m").status_code == 503
    pulled = sparkd.sparkctl("pull", "m")
    assert pulled.returncode == 0, pulled.stderr
    assert pulled.stdout == "m is complete on disk, 1 MiB downloaded\n"
    assert sparkd.chat("m").status_code == 200
    assert "complete" in sparkd.sparkctl("models").stdout


def test_with_auto_the_first_request_waits_for_the_download(open_daemon: Open, hub: Hub) -> None:
    slow(hub)
    sparkd = open_daemon({"m": takes("org/m", download="auto", start_timeout=2.0)})
    asking = [PendingRequest(sparkd) for _ in range(3)]
    wait_until("it is told", lambda: (sparkd.model("m").progress or 0) > 0.2)
    now = sparkd.model("m")
    assert (now.state, now.phase, now.waiting) == ("stopped", "downloading", 3)
    assert sparkd.status().memory.reserved == 0
    assert "downloading" in sparkd.sparkctl("status").stdout
    assert [one.result().status_code for one in asking] == [200, 200, 200]
    assert len(hub.requests("/cdn/")) == 1
    assert sparkd.model("m").phase is None


def test_nobody_is_evicted_for_a_model_that_is_still_downloading(open_daemon: Open, hub: Hub) -> None:
    slow(hub, 2_000_000)
    models = {
        "m": takes("org/m", download="auto", memory="8 GiB"),
        "other": engine(memory="8 GiB", min_residency=0.0),
    }
    sparkd = open_daemon(models)
    assert sparkd.chat("other").status_code == 200
    asking = PendingRequest(sparkd)
    wait_until("it is told", lambda: (sparkd.model("m").progress or 0) > 0.2)
    assert sparkd.model("other").state == "ready"
    assert sparkd.chat("other").status_code == 200
    assert asking.result().status_code == 200
    assert sparkd.model("other").state == "stopped"


def test_a_request_that_waits_too_long_is_refused_with_retry_after(open_daemon: Open, hub: Hub) -> None:
    slow(hub, 6_000_000)
    sparkd = open_daemon({"m": takes("org/m", download="auto")}, queue={"max_wait": 2.5})
    answer = sparkd.chat("m")
    assert (answer.status_code, error_of(answer)["code"]) == (503, "model_downloading")
    assert "is still downloading (" in error_of(answer)["message"]
    assert 1 <= int(answer.headers["retry-after"]) < 30
    wait_until("it goes on without anybody", lambda: (sparkd.model("m").progress or 0) > 0.5, 20)


def test_a_client_that_leaves_does_not_stop_it_and_stop_does(open_daemon: Open, hub: Hub) -> None:
    data = slow(hub, 6_000_000)
    sparkd = open_daemon({"m": takes("org/m", download="auto")})
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{sparkd.url}/v1/chat/completions", json={"model": "m", "messages": []}, timeout=1.5)
    wait_until("it goes on", lambda: (sparkd.model("m").progress or 0) > 0.1)
    assert sparkd.model("m").waiting == 0
    asking = PendingRequest(sparkd)
    wait_until("somebody waits", lambda: sparkd.model("m").waiting)
    assert sparkd.sparkctl("stop", "m").returncode == 0
    answer = asking.result()
    assert (answer.status_code, error_of(answer)["code"]) == (503, "model_stopped")
    wait_until("it has ended", lambda: sparkd.model("m").phase is None)
    assert blob(sparkd, data).with_name(digest(data) + INCOMPLETE).stat().st_size > 100_000


def test_a_download_that_fails_refuses_everybody_with_the_cause_and_is_not_tried_at_once(
    open_daemon: Open, hub: Hub
) -> None:
    hub.faults.status["/api/"] = (401, {"X-Error-Code": "GatedRepo"}, 99)
    sparkd = open_daemon({"m": takes("org/m", download="auto")}, failures={"backoff": 60.0})
    asking = [PendingRequest(sparkd) for _ in range(2)]
    for one in asking:
        answer = one.result()
        assert (answer.status_code, error_of(answer)["code"]) == (503, "download_failed")
        assert f"org/m is gated. Accept its licence at {hub.url}/org/m" in error_of(answer)["message"]
        assert 55 <= int(answer.headers["retry-after"]) <= 60
    asked = len(hub.asked)
    began = time.monotonic()
    again = sparkd.chat("m")
    assert time.monotonic() - began < 0.5
    assert (again.status_code, error_of(again)["code"]) == (503, "download_failed")
    assert len(hub.asked) == asked


def test_a_daemon_that_stops_ends_it_and_the_next_one_goes_on(open_daemon: Open, hub: Hub) -> None:
    data = slow(hub, 6_000_000)
    sparkd = open_daemon({"m": takes("org/m", download="auto")})
    asking = PendingRequest(sparkd)
    part = blob(sparkd, data).with_name(digest(data) + INCOMPLETE)
    wait_until("some has arrived", lambda: part.exists() and part.stat().st_size > 1_000_000)
    assert sparkd.stop() == 0
    answer = asking.result()
    assert (answer.status_code, error_of(answer)["code"]) == (503, "shutting_down")
    had = part.stat().st_size
    hub.faults.pace = 0
    hub.asked.clear()
    sparkd.start()
    assert sparkd.chat("m").status_code == 200
    assert [asked for _, path, asked, _ in hub.asked if "/cdn/" in path] == [f"bytes={had}-"]


def test_a_killed_daemon_takes_it_along(open_daemon: Open, hub: Hub) -> None:
    data = slow(hub, 6_000_000)
    sparkd = open_daemon({"m": takes("org/m", download="auto")})
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{sparkd.url}/v1/chat/completions", json={"model": "m", "messages": []}, timeout=1.5)
    part = blob(sparkd, data).with_name(digest(data) + INCOMPLETE)
    wait_until("some has arrived", lambda: part.exists() and part.stat().st_size > 100_000)
    sparkd.stop(signal.SIGKILL)
    time.sleep(0.5)
    had = part.stat().st_size
    time.sleep(0.5)
    assert part.stat().st_size == had


def test_a_source_folder_that_does_not_exist_is_reported(open_daemon: Open) -> None:
    sparkd = open_daemon({"m": takes("/nowhere/at/all", download="auto")})
    answer = sparkd.chat("m")
    assert (answer.status_code, error_of(answer)["code"]) == (503, "model_not_on_disk")
    assert error_of(answer)["message"] == "Model m is not on disk: its source /nowhere/at/all is not there."
    pulled = sparkd.sparkctl("pull", "m")
    assert pulled.returncode == 1
    assert "a folder of your own, which nobody downloads" in pulled.stderr


def test_a_model_in_use_keeps_its_files_and_a_stopped_one_can_go(open_daemon: Open, hub: Hub) -> None:
    hub.add("org/m", a_repository())
    sparkd = open_daemon({"m": takes("org/m"), "twin": takes("org/m")})
    assert sparkd.sparkctl("pull", "m").returncode == 0
    assert sparkd.chat("twin").status_code == 200
    refused = sparkd.sparkctl("rm", "m", "--yes")
    assert refused.returncode == 5
    assert refused.stderr == "sparkctl: twin is in use: `sparkctl stop twin` first.\n"
    assert sparkd.sparkctl("stop", "twin").returncode == 0
    assert sparkd.sparkctl("rm", "m").returncode == 1  # nobody there to ask
    removed = sparkd.sparkctl("rm", "m", "--yes")
    assert removed.returncode == 0, removed.stderr
    assert "org/m is removed" in removed.stdout
    assert not repository_folder(sparkd.folder / "models", "org/m").exists()
    assert error_of(sparkd.chat("m"))["code"] == "model_not_on_disk"


def test_root_fetches_and_removes_for_the_folders_owner(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("org/m", a_repository())
    folder = Path(tempfile.mkdtemp(prefix="sparkd-owner-"))
    try:
        folder.chmod(0o755)
        (folder / "models").mkdir()
        os.chown(folder / "models", 65534, 65534)
        sparkd = SparkdProcess(folder, {"models": {"m": takes("org/m")}})
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        pulled = sparkd.sparkctl("pull", "m")
        assert pulled.returncode == 0, pulled.stderr
        owners = {path.lstat().st_uid for path in (folder / "models").rglob("*")}
        assert owners == {65534}
        shutil.rmtree(folder / "models" / "downloads")  # as of a model that another program has fetched
        removed = sparkd.sparkctl("rm", "m", "--yes")
        assert "org/m is removed" in removed.stdout, removed.stderr
        owners = {path.lstat().st_uid for path in (folder / "models").rglob("*")}
        assert owners == {65534}
    finally:
        shutil.rmtree(folder)


def test_the_daemon_downloads_on_request(open_daemon: Open, hub: Hub) -> None:
    slow(hub, 2_000_000)
    sparkd = open_daemon({"m": takes("org/m")})
    transport = httpx.HTTPTransport(uds=str(sparkd.folder / "run" / "control.sock"))
    with httpx.Client(transport=transport, base_url="http://sparkd", timeout=30) as control:
        absent = control.get("/files").json()
        assert [(one["model"], one["parts"][0]["state"]) for one in absent] == [("m", "absent")]
        asked = control.post("/models/m/pull")
        assert (asked.status_code, asked.json()["id"]) == (200, "m")
        assert [one["parts"][0]["state"] for one in control.get("/files").json()] == ["complete"]
        gone = control.delete("/models/m/files")
        assert gone.json()["freed"] > 1_900_000


def test_ctrl_c_ends_a_pull_and_the_next_one_goes_on(
    folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    data = slow(hub)
    sparkd = SparkdProcess(folder, {"models": {"m": takes("org/m")}})
    part = blob(sparkd, data).with_name(digest(data) + INCOMPLETE)
    with subprocess.Popen(sparkd.command("pull", "m"), stderr=subprocess.PIPE) as pulling:
        wait_until("some has arrived", lambda: part.exists() and part.stat().st_size > 500_000)
        pulling.send_signal(signal.SIGINT)
        assert pulling.wait(5) == 130
    assert "missing model.safetensors, 3 MiB to download" in sparkd.sparkctl("models").stdout
    hub.faults.pace = 0
    pulled = sparkd.sparkctl("pull", "m", "--json")
    assert json.loads(pulled.stdout)["downloaded"] < len(data)
    assert json.loads(sparkd.sparkctl("models", "--json").stdout)[0]["parts"][0]["state"] == "complete"


def test_a_pull_that_fails_says_why_and_fails(
    folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    sparkd = SparkdProcess(folder, {"models": {"m": takes("org/m")}})
    pulled = sparkd.sparkctl("pull", "m")
    assert pulled.returncode == 1
    assert pulled.stderr.startswith(
        "sparkctl: The hub has no org/m, or it is private. Correct the model's `source`, or give"
    )
    assert sparkd.sparkctl("pull", "n").returncode == 4


def test_a_download_ends_for_a_successor_which_begins_where_it_was(open_daemon: Open, hub: Hub) -> None:
    """One that outlived the program that began it would be nobody's, and then a zombie for good."""
    slow(hub)
    sparkd = open_daemon({"m": takes("org/m", download="auto")}, defaults={"drain_timeout": 0.5})
    asking = PendingRequest(sparkd)
    wait_until("it is told", lambda: (sparkd.model("m").progress or 0) > 0.2)
    assert sparkd.sparkctl("reexec").returncode == 0
    assert "sparkd is being upgraded" in asking.result().text
    assert not psutil.Process(sparkd.process.pid).children()
    hub.faults.pace = 0
    assert sparkd.chat("m").status_code == 200
