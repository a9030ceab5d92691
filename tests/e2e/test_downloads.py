"""Models that are not on disk: a real sparkd, a hub of our own, and sparkctl."""

from __future__ import annotations

import json
import math
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
import openai
import psutil
import pytest

from sparkd.hub.layout import INCOMPLETE, repository_folder
from sparkd.supervising.missing_files import DEFAULT_RETRY
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until
from tests.hub.server import Hub, a_repository, digest, running_hub, safetensors

Open = Callable[..., SparkdProcess]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


@pytest.fixture
def open_daemon(build: Open, folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Start a sparkd that uses this hub. At the end, check that it stops cleanly and leaves nothing."""
    for name, value in {
        "HF_ENDPOINT": hub.url,
        "HF_HUB_DOWNLOAD_TIMEOUT": "120",
        "HOME": str(folder),
    }.items():
        monkeypatch.setenv(name, value)
    return build


def takes(source: str, **fields: Any) -> dict[str, Any]:
    """Return a model with this source."""
    model = engine(source=source, **fields)
    model["command"][model["command"].index("{model}")] = "{source}"
    return model


def blob(sparkd: SparkdProcess, data: bytes) -> Path:
    return repository_folder(sparkd.folder / "models", "org/m") / "blobs" / digest(data)


def held(hub: Hub, size: int = 3_000_000) -> bytes:
    """A repository of which the hub sends half, and the rest after `hub.release()`."""
    data = safetensors(size)
    hub.add("org/m", {"model.safetensors": data, "config.json": b"{}"})
    hub.faults.hold_after = size // 2
    return data


def is_downloading(sparkd: SparkdProcess) -> bool:
    """Whether sparkd reports that a good part of `m` has arrived."""
    return (sparkd.model("m").progress or 0) > 0.2


class PendingRequest:
    """A client that requests a model, in a thread."""

    def __init__(self, sparkd: SparkdProcess, model: str = "m") -> None:
        self.answer: httpx.Response | None = None
        self._thread = threading.Thread(target=self._ask, args=(sparkd, model))
        self._thread.start()

    def _ask(self, sparkd: SparkdProcess, model: str) -> None:
        self.answer = sparkd.chat(model)

    def result(self) -> httpx.Response:
        self._thread.join(120)
        assert self.answer is not None
        return self.answer


def has_exited(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return error


def test_a_request_for_a_model_that_is_not_on_disk_is_rejected_at_once_with_the_command(
    open_daemon: Open, hub: Hub
) -> None:
    hub.add("org/m", a_repository())
    sparkd = open_daemon({"m": takes("org/m")})
    answer = sparkd.chat("m")
    assert answer.status_code == 503
    assert error_of(answer) == {
        "message": 'Model "m" is not on disk. Run `sparkctl pull m` to download it.',
        "type": "service_unavailable_error",
        "code": "model_not_on_disk",
        "param": "model",
    }
    assert "retry-after" not in answer.headers
    with (
        sparkd.openai(max_retries=5) as client,
        pytest.raises(openai.InternalServerError, match="sparkctl pull m"),
    ):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert sparkd.log().count("refused: ") == 2, "the client does not try again"
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
    held(hub)
    start_timeout = 5.0
    sparkd = open_daemon({"m": takes("org/m", download="auto", start_timeout=start_timeout)})
    asking = [PendingRequest(sparkd) for _ in range(3)]
    wait_until("progress is reported", lambda: is_downloading(sparkd))
    reported = time.monotonic()
    wait_until("all of them wait", lambda: sparkd.model("m").waiting == 3)
    now = sparkd.model("m")
    assert (now.state, now.phase, now.waiting) == ("stopped", "downloading", 3)
    assert sparkd.status().memory.reserved == 0
    assert "downloading" in sparkd.sparkctl("status").stdout
    wait_until("it takes longer than a start may", lambda: time.monotonic() - reported > start_timeout)
    hub.release()
    assert [one.result().status_code for one in asking] == [200, 200, 200]
    assert len(hub.requests("/cdn/")) == 1
    assert sparkd.model("m").phase is None


def test_no_model_is_evicted_for_one_that_is_still_downloading(open_daemon: Open, hub: Hub) -> None:
    held(hub)
    models = {
        "m": takes("org/m", download="auto", memory="8 GiB"),
        "other": engine(memory="8 GiB", min_residency=0.0),
    }
    sparkd = open_daemon(models)
    assert sparkd.chat("other").status_code == 200
    asking = PendingRequest(sparkd)
    wait_until("progress is reported", lambda: is_downloading(sparkd))
    assert sparkd.model("other").state == "ready"
    assert sparkd.chat("other").status_code == 200
    hub.release()
    assert asking.result().status_code == 200
    assert sparkd.model("other").state == "stopped"


def test_a_request_that_waits_too_long_is_rejected_with_retry_after(open_daemon: Open, hub: Hub) -> None:
    data = held(hub)
    sparkd = open_daemon({"m": takes("org/m", download="auto")}, queue={"max_wait": 2.5})
    with sparkd.waiting_client("m"):
        wait_until("it is reported", lambda: is_downloading(sparkd))
    before = sparkd.model("m").download_seconds_left or DEFAULT_RETRY
    answer = sparkd.chat("m")
    after = sparkd.model("m").download_seconds_left or DEFAULT_RETRY
    assert (answer.status_code, error_of(answer)["code"]) == (503, "model_downloading")
    assert "is still being downloaded (" in error_of(answer)["message"]
    assert math.ceil(before) <= int(answer.headers["retry-after"]) <= math.ceil(after), (
        "it grows as nothing arrives"
    )
    hub.release()
    wait_until("it continues without a client", blob(sparkd, data).exists)


def test_a_disconnecting_client_does_not_stop_a_download_but_a_stop_does(open_daemon: Open, hub: Hub) -> None:
    data = held(hub)
    sparkd = open_daemon({"m": takes("org/m", download="auto")})
    with sparkd.waiting_client("m"):
        wait_until("it waits", lambda: sparkd.model("m").waiting)
    wait_until("it has left the queue", lambda: sparkd.model("m").waiting == 0)
    wait_until("the download continues", lambda: is_downloading(sparkd))
    asking = PendingRequest(sparkd)
    wait_until("a request waits", lambda: sparkd.model("m").waiting)
    assert sparkd.sparkctl("stop", "m").returncode == 0
    answer = asking.result()
    assert (answer.status_code, error_of(answer)["code"]) == (503, "model_stopped")
    wait_until("it has ended", lambda: sparkd.model("m").phase is None)
    assert blob(sparkd, data).with_name(digest(data) + INCOMPLETE).stat().st_size > 100_000


def test_a_failed_download_rejects_every_request_with_the_cause_and_is_not_retried_at_once(
    open_daemon: Open, hub: Hub
) -> None:
    hub.faults.status["/api/"] = (401, {"X-Error-Code": "GatedRepo"}, 99)
    sparkd = open_daemon({"m": takes("org/m", download="auto")}, failures={"backoff": 60.0})
    began = time.monotonic()
    asking = [PendingRequest(sparkd) for _ in range(2)]
    for one in asking:
        answer = one.result()
        elapsed = time.monotonic() - began
        assert (answer.status_code, error_of(answer)["code"]) == (503, "download_failed")
        assert f"org/m is gated. Accept its licence at {hub.url}/org/m" in error_of(answer)["message"]
        assert 60 - elapsed <= int(answer.headers["retry-after"]) <= 60
    requests = len(hub.asked)
    again = sparkd.chat("m")
    assert (again.status_code, error_of(again)["code"]) == (503, "download_failed")
    assert len(hub.asked) == requests


def test_a_daemon_that_stops_ends_a_download_and_the_next_one_continues_it(
    open_daemon: Open, hub: Hub
) -> None:
    data = held(hub)
    sparkd = open_daemon({"m": takes("org/m", download="auto")})
    asking = PendingRequest(sparkd)
    part = blob(sparkd, data).with_name(digest(data) + INCOMPLETE)
    wait_until("some has arrived", lambda: part.exists() and part.stat().st_size > 1_000_000)
    assert sparkd.stop() == 0
    answer = asking.result()
    assert (answer.status_code, error_of(answer)["code"]) == (503, "shutting_down")
    had = part.stat().st_size
    hub.release()
    hub.asked.clear()
    sparkd.start()
    assert sparkd.chat("m").status_code == 200
    assert [asked for _, path, asked, _ in hub.asked if "/cdn/" in path] == [f"bytes={had}-"]


def test_a_killed_daemon_ends_a_download(open_daemon: Open, hub: Hub) -> None:
    data = held(hub)
    sparkd = open_daemon({"m": takes("org/m", download="auto")})
    part = blob(sparkd, data).with_name(digest(data) + INCOMPLETE)
    with sparkd.waiting_client("m"):
        wait_until("some has arrived", lambda: part.exists() and part.stat().st_size > 100_000)
    (downloading,) = psutil.Process(sparkd.process.pid).children()
    sparkd.stop(signal.SIGKILL)
    wait_until("its process has exited", lambda: has_exited(downloading))


def test_a_source_folder_that_does_not_exist_is_reported(open_daemon: Open) -> None:
    sparkd = open_daemon({"m": takes("/nowhere/at/all", download="auto")})
    answer = sparkd.chat("m")
    assert (answer.status_code, error_of(answer)["code"]) == (503, "model_not_on_disk")
    assert (
        error_of(answer)["message"] == 'Model "m" is not on disk: its source /nowhere/at/all does not exist.'
    )
    pulled = sparkd.sparkctl("pull", "m")
    assert pulled.returncode == 1
    assert "it is your own folder, so sparkd does not download it" in pulled.stderr


def test_files_of_a_model_in_use_are_kept_and_those_of_a_stopped_one_can_be_removed(
    open_daemon: Open, hub: Hub
) -> None:
    hub.add("org/m", a_repository())
    sparkd = open_daemon({"m": takes("org/m"), "twin": takes("org/m")})
    assert sparkd.sparkctl("pull", "m").returncode == 0
    assert sparkd.chat("twin").status_code == 200
    refused = sparkd.sparkctl("rm", "m", "--yes")
    assert refused.returncode == 5
    assert refused.stderr == 'sparkctl: The files are in use by "twin". Run `sparkctl stop twin` first.\n'
    assert sparkd.sparkctl("stop", "twin").returncode == 0
    assert sparkd.sparkctl("rm", "m").returncode == 1  # no terminal to ask for confirmation
    removed = sparkd.sparkctl("rm", "m", "--yes")
    assert removed.returncode == 0, removed.stderr
    assert "org/m is deleted" in removed.stdout
    assert not repository_folder(sparkd.folder / "models", "org/m").exists()
    assert error_of(sparkd.chat("m"))["code"] == "model_not_on_disk"


def test_root_downloads_and_removes_as_the_folders_owner(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
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
        shutil.rmtree(folder / "models" / "downloads")  # as for a model that another program has downloaded
        removed = sparkd.sparkctl("rm", "m", "--yes")
        assert "org/m is deleted" in removed.stdout, removed.stderr
        owners = {path.lstat().st_uid for path in (folder / "models").rglob("*")}
        assert owners == {65534}
    finally:
        shutil.rmtree(folder)


def test_the_daemon_downloads_on_request(open_daemon: Open, hub: Hub) -> None:
    hub.add("org/m", {"model.safetensors": safetensors(2_000_000), "config.json": b"{}"})
    sparkd = open_daemon({"m": takes("org/m")})
    transport = httpx.HTTPTransport(uds=str(sparkd.folder / "run" / "control.sock"))
    with httpx.Client(transport=transport, base_url="http://sparkd", timeout=120) as control:
        absent = control.get("/files").json()
        assert [(one["model"], one["parts"][0]["state"]) for one in absent] == [("m", "absent")]
        pulled = control.post("/models/m/pull")
        assert (pulled.status_code, pulled.json()["id"]) == (200, "m")
        assert [one["parts"][0]["state"] for one in control.get("/files").json()] == ["complete"]
        gone = control.delete("/models/m/files")
        assert gone.json()["freed"] > 1_900_000


def test_ctrl_c_ends_a_pull_and_the_next_one_continues_it(
    folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "120")
    data = held(hub)
    sparkd = SparkdProcess(folder, {"models": {"m": takes("org/m")}})
    part = blob(sparkd, data).with_name(digest(data) + INCOMPLETE)
    with subprocess.Popen(sparkd.command("pull", "m"), stderr=subprocess.PIPE) as pulling:
        wait_until("some has arrived", lambda: part.exists() and part.stat().st_size > 1_000_000)
        wait_until("the other file is complete", lambda: list((folder / "models").rglob("config.json")))
        pulling.send_signal(signal.SIGINT)
        assert pulling.wait(120) == 130
    assert "missing model.safetensors, 2 MiB to download" in sparkd.sparkctl("models").stdout
    hub.release()
    pulled = sparkd.sparkctl("pull", "m", "--json")
    assert json.loads(pulled.stdout)["downloaded"] < len(data)
    assert json.loads(sparkd.sparkctl("models", "--json").stdout)[0]["parts"][0]["state"] == "complete"


def test_a_failed_pull_reports_the_reason_and_fails(
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


def test_a_download_ends_for_a_replacement_which_continues_it(open_daemon: Open, hub: Hub) -> None:
    """A download that outlived the program that started it would have no owner and remain a zombie."""
    held(hub)
    sparkd = open_daemon({"m": takes("org/m", download="auto")}, defaults={"drain_timeout": 0.5})
    asking = PendingRequest(sparkd)
    wait_until("progress is reported", lambda: is_downloading(sparkd))
    assert sparkd.sparkctl("reexec").returncode == 0
    assert "sparkd is being upgraded" in asking.result().text
    assert not psutil.Process(sparkd.process.pid).children()
    hub.release()
    assert sparkd.chat("m").status_code == 200
