"""A hub, a disk and a download process that misbehave."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
from pathlib import Path

import pytest

from sparkd.errors import DownloadFailed, ModelStopped, SparkdError
from sparkd.hub.inspection import inspect_source
from sparkd.hub.job import DownloadJob
from sparkd.hub.layout import INCOMPLETE, lock_file, open_lock, repository_folder
from sparkd.hub.messages import Done, Failed, Progress, encode_line
from sparkd.hub.needs import Need
from sparkd.hub.request import DownloadRequest
from tests.hub.conftest import DownloadHarness
from tests.hub.server import COMMIT, Hub, a_repository, digest, safetensors

M = Need("org/m")


def weights_path(harness: DownloadHarness) -> Path:
    return repository_folder(harness.models, "org/m") / "snapshots" / COMMIT / "model.safetensors"


# The hub -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a\0b.json", "/etc/x.json", "x/../../../../y.json"])
def test_a_name_that_is_no_file_of_the_repository_is_refused(
    hub: Hub, harness: DownloadHarness, name: str
) -> None:
    hub.add("org/m", {**a_repository(), name: b"{}"})
    result = harness.download()
    assert isinstance(result, Failed)
    assert result.reason == "unexpected_response", result
    assert not hub.requests("/resolve/")


@pytest.mark.parametrize("names", [("x" * 300 + ".json",), ("a.json", "a.json/b.json")])
def test_names_that_the_disk_does_not_take_are_the_disks_refusal(
    hub: Hub, harness: DownloadHarness, names: tuple[str, ...]
) -> None:
    hub.add("org/m", a_repository() | dict.fromkeys(names, b"{}"))
    result = harness.download()
    assert isinstance(result, Failed)
    assert result.reason == "disk", result
    assert inspect_source(M, harness.models).state == "incomplete"


def test_a_hub_that_wants_a_year_of_peace_gets_an_hour(hub: Hub, harness: DownloadHarness) -> None:
    hub.faults.status["/api/"] = (429, {"Retry-After": "31536000"}, 9)
    result = harness.download()
    assert isinstance(result, Failed)
    assert (result.reason, result.retry_after) == ("rate_limited", 3600.0)


def test_what_the_hub_says_at_length_is_cut(hub: Hub, harness: DownloadHarness) -> None:
    hub.faults.status["/api/"] = (403, {"X-Error-Message": "no " * 5000}, 9)
    result = harness.download()
    assert isinstance(result, Failed)
    assert result.reason == "token_rejected"
    assert len(result.message) < 1000


def test_a_redirect_loop_is_reported(hub: Hub, harness: DownloadHarness) -> None:
    hub.add("org/m", {"model.safetensors": safetensors(10), "config.json": b"{}"})
    hub.faults.status["/cdn/"] = (302, {"Location": f"{hub.url}/cdn/again"}, 99)
    result = harness.download()
    assert isinstance(result, Failed)
    assert result.reason == "unexpected_response", result


def test_of_many_quantisations_none_is_chosen(hub: Hub, harness: DownloadHarness) -> None:
    quantised = {f"m-{name}.gguf": b"GGUF" * 1000 for name in ("Q4_K_M", "Q8_0", "Q2_K-00001-of-00002")}
    hub.add("org/m", {**quantised, "mmproj-F16.gguf": b"GGUF", "config.json": b"{}"})
    result = harness.download()
    assert isinstance(result, Failed)
    assert result.reason == "ambiguous"
    assert (
        "GGUF weights in 3 quantisations, such as m-Q2_K.gguf, and sparkd does not choose one"
        in result.message
    )
    assert not hub.requests("/resolve/")
    parts = {f"m-Q4-0000{part}-of-00002.gguf": b"GGUF" * part for part in (1, 2)}
    hub.add("org/m", {**parts, "mmproj-F16.gguf": b"GGUF", "config.json": b"{}"})
    assert isinstance(harness.download(), Done)


# The disk ----------------------------------------------------------------------------------------------------


def test_a_disk_that_drops_the_last_bytes_leaves_nothing_that_looks_complete(
    hub: Hub, harness: DownloadHarness
) -> None:
    """A short write is not an error: the bytes were hashed, and the file looked complete."""
    data = safetensors(400_000)
    hub.add("org/m", {"model.safetensors": data, "config.json": b"{}"})
    process = harness.start(harness.request(M))
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (len(data) - 5, len(data) - 5))
    result = harness.wait_for_end(process)
    assert isinstance(result, Failed)
    assert result.reason == "disk_full"
    assert digest(data) + INCOMPLETE in harness.blobs()
    done = harness.download()
    assert isinstance(done, Done)
    assert weights_path(harness).read_bytes() == data


def test_a_users_linked_file_is_not_removed(hub: Hub, harness: DownloadHarness, tmp_path: Path) -> None:
    data = safetensors(1000)
    hub.add("org/m", {"model.safetensors": data, "config.json": b"{}"})
    harness.download()
    own = tmp_path / "own.safetensors"
    own.write_bytes(b"x" * len(data))
    weights_path(harness).unlink()
    weights_path(harness).symlink_to(own)
    assert isinstance(harness.download(verify=True), Done)
    assert own.read_bytes() == b"x" * len(data)
    assert weights_path(harness).read_bytes() == data


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    lock = lock_file(tmp_path, "org/m")
    lock.parent.mkdir()
    lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        open_lock(tmp_path, "org/m")
    assert not (tmp_path / "elsewhere").exists()


# The process -------------------------------------------------------------------------------------------------


def run_job(program: str, *, stop: bool = False) -> tuple[SparkdError | None, Progress]:
    """The result of a process that runs this Python code; with `stop` it is stopped before it has started."""

    async def scenario() -> tuple[SparkdError | None, Progress]:
        request = DownloadRequest(models="/models", state="/state")
        fetch = DownloadJob(request, ["m"], asyncio.get_running_loop().create_future())
        if stop:
            fetch.stop(ModelStopped("stopped"))
        error = await fetch.run([sys.executable, "-S", "-c", program], os.environ)
        return error, fetch.progress

    return asyncio.run(scenario())


def test_an_endless_line_ends_the_process_that_writes_it() -> None:
    error, _ = run_job("import sys\nwhile True: sys.stdout.write('x' * 65536)")
    assert isinstance(error, DownloadFailed)
    assert "without an error message" in error.message


def test_lines_that_say_nothing_are_passed_over() -> None:
    result = [b"warning: \xff\n", encode_line(Progress(done=1, total=2)), b"[1]\n", encode_line(Done())]
    error, progress = run_job(f"import sys\nsys.stdout.buffer.write({b''.join(result)!r})")
    assert error is None
    assert progress.share == 0.5


def test_a_process_that_is_stopped_before_it_runs_does_not_run_on() -> None:
    began = time.monotonic()
    error, _ = run_job("import time\ntime.sleep(600)", stop=True)
    assert isinstance(error, ModelStopped)
    assert time.monotonic() - began < 120


def test_a_missing_program_is_reported() -> None:
    async def scenario() -> SparkdError | None:
        request = DownloadRequest(models="/models", state="/state")
        fetch = DownloadJob(request, ["m"], asyncio.get_running_loop().create_future())
        return await fetch.run(["/no/such/program"], {})

    error = asyncio.run(scenario())
    assert isinstance(error, DownloadFailed)
    assert "Cannot start the download" in error.message
