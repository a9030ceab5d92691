"""The download process against a test hub: what arrives, what is rejected, and how it resumes."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from sparkd.hub.downloader import Downloader, Meter
from sparkd.hub.encodings import PublishedFile
from sparkd.hub.inspection import inspect_source
from sparkd.hub.layout import INCOMPLETE, encodings_folder, is_downloading, read_commit, repository_folder
from sparkd.hub.messages import Done, Failed, Progress, decode_line
from sparkd.hub.needs import Need
from tests.hub.conftest import DownloadHarness
from tests.hub.server import COMMIT, Hub, a_repository, digest, safetensors

M = Need("org/m")


def snapshot(harness: DownloadHarness, commit: str = COMMIT) -> Path:
    return repository_folder(harness.models, "org/m") / "snapshots" / commit


def add_large_repository(hub: Hub, size: int = 3_000_000) -> bytes:
    """A repository with one large file."""
    data = safetensors(size)
    hub.add("org/m", {"model.safetensors": data, "config.json": b"{}"})
    return data


def hold_large_repository(hub: Hub, harness: DownloadHarness) -> bytes:
    """A repository with one large file, of which the hub sends half, and the rest after `hub.release()`."""
    data = add_large_repository(hub)
    hub.faults.hold_after = len(data) // 2
    harness.environment["HF_HUB_DOWNLOAD_TIMEOUT"] = "120"
    return data


def partial_path(harness: DownloadHarness, data: bytes) -> Path:
    return repository_folder(harness.models, "org/m") / "blobs" / (digest(data) + INCOMPLETE)


def wait_for(path: Path, size: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if path.exists() and path.stat().st_size >= size:
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} never had {size} bytes")


def test_what_an_engine_needs_is_downloaded_completely(hub: Hub, harness: DownloadHarness) -> None:
    files = a_repository()
    hub.add("org/m", files)
    done = harness.download()
    assert isinstance(done, Done)
    assert done.commits == {"org/m": COMMIT}
    there = {
        str(path.relative_to(snapshot(harness))): path.read_bytes()
        for path in snapshot(harness).rglob("*")
        if path.is_file()
    }
    unwanted = {"README.md", "pytorch_model.bin", "original/consolidated.00.pth", "onnx/model.onnx"}
    assert there == {name: data for name, data in files.items() if name not in unwanted}
    assert done.downloaded == sum(map(len, there.values()))
    assert read_commit(repository_folder(harness.models, "org/m"), None) == COMMIT
    found = inspect_source(M, harness.models)
    assert (found.state, found.missing, found.bytes_left) == ("complete", (), 0)


def test_the_second_time_nothing_is_downloaded(hub: Hub, harness: DownloadHarness) -> None:
    hub.add("org/m", a_repository())
    harness.download()
    hub.asked.clear()
    assert harness.download() == Done(downloaded=0, commits={"org/m": COMMIT})
    assert [path for _, path, _, _ in hub.asked] == ["/api/models/org/m/revision/main"]


def test_a_newer_commit_comes_with_what_has_changed_alone(hub: Hub, harness: DownloadHarness) -> None:
    files = a_repository()
    hub.add("org/m", files)
    harness.download()
    hub.add("org/m", {**files, "config.json": b'{"model_type": "llama", "new": 1}'}, commit="b" * 40)
    done = harness.download()
    assert done == Done(downloaded=33, commits={"org/m": "b" * 40})
    assert read_commit(repository_folder(harness.models, "org/m"), None) == "b" * 40


def test_a_revision_is_downloaded_under_its_own_name(hub: Hub, harness: DownloadHarness) -> None:
    hub.add("org/m", a_repository())
    assert isinstance(harness.download(Need("org/m", "v1")), Done)
    assert inspect_source(Need("org/m", "v1"), harness.models).state == "complete"
    assert inspect_source(Need("org/m", COMMIT), harness.models).state == "complete"
    assert inspect_source(M, harness.models).state != "complete"


def test_of_mistrals_two_formats_one_is_downloaded(hub: Hub, harness: DownloadHarness) -> None:
    hub.add("org/m", {**a_repository(1), "consolidated.safetensors": safetensors(5), "params.json": b"{}"})
    harness.download()
    assert not (snapshot(harness) / "consolidated.safetensors").exists()
    harness.download(Need("org/m", consolidated=True))
    assert (snapshot(harness) / "consolidated.safetensors").exists()


def test_a_token_is_shown_to_the_hub_and_not_to_where_it_sends_us(hub: Hub, harness: DownloadHarness) -> None:
    hub.add("org/m", a_repository())
    (harness.folder / "state").mkdir()
    (harness.folder / "state" / "hub-token").write_text("hf_secret\n")
    assert isinstance(harness.download(), Done)
    assert {who for _, path, _, who in hub.asked if "/resolve/" in path} == {"Bearer hf_secret"}
    assert {who for _, path, _, who in hub.asked if "/cdn/" in path} == {""}


def test_after_kill_9_it_goes_on_where_it_was(hub: Hub, harness: DownloadHarness) -> None:
    data = hold_large_repository(hub, harness)
    process = harness.start(harness.request(M))
    wait_for(partial_path(harness, data), 500_000)
    wait_for(snapshot(harness) / "config.json", 2)  # the small file is on its way beside the large one
    assert is_downloading(harness.models, "org/m")
    process.kill()
    process.communicate()
    had = partial_path(harness, data).stat().st_size
    found = inspect_source(M, harness.models)
    assert (found.state, found.bytes_left) == ("incomplete", len(data) - had)
    assert not found.downloading
    hub.release()
    hub.asked.clear()
    done = harness.download()
    assert isinstance(done, Done), done
    assert [asked for _, path, asked, _ in hub.asked if "/cdn/" in path] == [f"bytes={had}-"]
    assert (snapshot(harness) / "model.safetensors").read_bytes() == data


def test_it_exits_with_the_process_that_started_it(hub: Hub, harness: DownloadHarness) -> None:
    data = hold_large_repository(hub, harness)
    with harness.start(harness.request(M)) as process:
        wait_for(partial_path(harness, data), 100_000)
        assert process.stdin
        process.stdin.close()
        assert process.wait(120) != 0
    assert inspect_source(M, harness.models).state == "incomplete"


def test_a_connection_that_is_cut_again_and_again_is_no_reason_to_give_up(
    hub: Hub, harness: DownloadHarness
) -> None:
    data = add_large_repository(hub, 400_000)
    hub.faults.cut_after, hub.faults.cuts = 100_000, 3
    assert isinstance(harness.download(), Done)
    ranges = [asked for _, path, asked, _ in hub.asked if "/cdn/" in path]
    assert len(ranges) == 4
    assert ranges[-1] > ranges[1] > ""
    assert (snapshot(harness) / "model.safetensors").read_bytes() == data


def test_a_hub_that_falls_silent_in_the_middle_is_asked_again(hub: Hub, harness: DownloadHarness) -> None:
    data = add_large_repository(hub, 400_000)
    hub.faults.stall_after, hub.faults.stalls = 100_000, 1
    assert isinstance(harness.download(), Done)
    assert len(hub.requests("/cdn/")) == 2
    assert (snapshot(harness) / "model.safetensors").read_bytes() == data


def test_a_server_that_knows_no_ranges_sends_it_all_again(hub: Hub, harness: DownloadHarness) -> None:
    data = add_large_repository(hub, 400_000)
    hub.faults.cut_after, hub.faults.cuts, hub.faults.ignore_range = 100_000, 1, True
    done = harness.download()
    assert isinstance(done, Done)
    assert done.downloaded > len(data) + 100_000 - 16384
    assert (snapshot(harness) / "model.safetensors").read_bytes() == data


def test_wrong_bytes_once_are_downloaded_again(hub: Hub, harness: DownloadHarness) -> None:
    data = add_large_repository(hub, 100_000)
    hub.faults.wrong = 1
    assert isinstance(harness.download(), Done)
    assert (snapshot(harness) / "model.safetensors").read_bytes() == data


def test_wrong_bytes_twice_are_reported_and_never_count_as_complete(
    hub: Hub, harness: DownloadHarness
) -> None:
    add_large_repository(hub, 100_000)
    hub.faults.wrong = 9
    result = harness.download()
    assert isinstance(result, Failed)
    assert result.reason == "digest_mismatch"
    assert "model.safetensors was downloaded twice" in result.message
    assert inspect_source(M, harness.models).state == "incomplete"


def test_a_part_of_another_file_is_detected_by_its_digest(hub: Hub, harness: DownloadHarness) -> None:
    data = add_large_repository(hub, 100_000)
    partial_path(harness, data).parent.mkdir(parents=True)
    partial_path(harness, data).write_bytes(b"x" * 50_000)
    assert isinstance(harness.download(), Done)
    assert (snapshot(harness) / "model.safetensors").read_bytes() == data


def test_verify_finds_files_that_changed_on_disk_and_downloads_them_again(
    hub: Hub, harness: DownloadHarness
) -> None:
    data = add_large_repository(hub, 100_000)
    harness.download()
    blob = (snapshot(harness) / "model.safetensors").resolve()
    blob.write_bytes(data[:-1] + b"!")
    assert isinstance(done := harness.download(), Done)
    assert done.downloaded == 0  # it has the right length: only reading it shows the change
    done = harness.download(verify=True)
    assert isinstance(done, Done)
    assert (done.downloaded, done.notes) == (
        len(data),
        ("downloaded again because they had changed on disk: model.safetensors",),
    )
    assert blob.read_bytes() == data


@pytest.mark.parametrize(
    ("status", "headers", "reason", "words"),
    [
        (
            401,
            {"X-Error-Code": "GatedRepo"},
            "gated",
            "Accept its licence at {url}/org/m, then give sparkd a token",
        ),
        (403, {"X-Error-Code": "GatedRepo"}, "gated", "Accept its licence"),
        (401, {"X-Error-Code": "RepoNotFound"}, "not_found", "The hub has no org/m, or it is private"),
        (404, {"X-Error-Code": "RepoNotFound"}, "not_found", "Correct the model's `source`"),
        (404, {"X-Error-Code": "RevisionNotFound"}, "not_found", "org/m has no revision"),
        (403, {"X-Error-Message": "Your token is read-none"}, "token_rejected", "(Your token is read-none)"),
        (403, {"content-type": "text/html"}, "unexpected_response", "answered 403 instead of the hub"),
        (407, {}, "unexpected_response", "answered 407 instead of the hub"),
        (429, {"Retry-After": "77"}, "rate_limited", "too many requests"),
        (503, {}, "unreachable", "The hub answered 503"),
    ],
)
def test_what_the_hub_refuses_says_what_to_do(
    hub: Hub, harness: DownloadHarness, status: int, headers: dict[str, str], reason: str, words: str
) -> None:
    hub.add("org/m", a_repository())
    hub.faults.status["/api/"] = (status, headers, 99)
    result = harness.download()
    assert isinstance(result, Failed)
    assert result.reason == reason
    assert words.format(url=hub.url) in result.message
    assert result.retry_after == (77.0 if status == 429 else None)


def test_a_token_without_access_to_a_gated_model_gets_its_own_message(
    hub: Hub, harness: DownloadHarness
) -> None:
    harness.environment["HF_TOKEN"] = "hf_mine"
    hub.faults.status["/api/"] = (403, {"X-Error-Code": "GatedRepo"}, 1)
    result = harness.download()
    assert isinstance(result, Failed)
    assert f"no access to it yet. Request access at {hub.url}/org/m" in result.message


def test_being_asked_to_wait_a_moment_in_the_middle_is_obeyed(hub: Hub, harness: DownloadHarness) -> None:
    add_large_repository(hub, 10_000)
    hub.faults.status["/cdn/"] = (429, {"Retry-After": "1"}, 1)
    began = time.monotonic()
    assert isinstance(harness.download(), Done)
    assert time.monotonic() - began > 1.0


def test_a_login_page_instead_of_the_hub_is_reported(hub: Hub, harness: DownloadHarness) -> None:
    hub.add("org/m", a_repository())
    hub.faults.garbage = True
    result = harness.download()
    assert isinstance(result, Failed)
    assert result.reason == "unexpected_response"
    assert "a login page answers" in result.message


def test_a_missing_network_is_reported_and_files_on_disk_count(hub: Hub, harness: DownloadHarness) -> None:
    hub.add("org/m", a_repository())
    harness.download()
    harness.environment["HF_ENDPOINT"] = "http://127.0.0.1:9"
    done = harness.download()
    assert isinstance(done, Done)
    assert (
        "org/m is complete on disk, but sparkd cannot check for a newer version: Cannot reach 127.0.0.1:9"
        in done.notes[0]
    )
    result = harness.download(Need("org/other"))
    assert isinstance(result, Failed)
    assert result.reason == "unreachable"


def test_a_service_without_network_names_the_command_that_works(harness: DownloadHarness) -> None:
    harness.environment |= {"HF_ENDPOINT": "http://127.0.0.1:9", "INVOCATION_ID": "x"}
    result = harness.download()
    assert isinstance(result, Failed)
    assert "`sudo sparkctl pull`" in result.message


def test_a_full_disk_is_reported_before_anything_is_downloaded(hub: Hub, harness: DownloadHarness) -> None:
    hub.add("org/m", a_repository())
    harness.models.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", harness.models], check=True)
    try:
        result = harness.download()
        assert isinstance(result, Failed)
        assert result.reason == "disk_full"
        assert "1 GiB must stay free" in result.message
        assert not hub.requests("/resolve/")
    finally:
        subprocess.run(["umount", harness.models], check=True)


def test_a_disk_that_fills_up_is_reported_and_what_arrived_stays(hub: Hub, harness: DownloadHarness) -> None:
    data = add_large_repository(hub, 400_000)

    process = harness.start(harness.request(M))
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (200_000, 200_000))
    result = harness.wait_for_end(process)
    assert isinstance(result, Failed)
    assert result.reason == "disk_full"
    assert partial_path(harness, data).stat().st_size == 200_000
    assert isinstance(harness.download(), Done)


def test_a_listing_that_leads_out_of_its_folder_is_refused(hub: Hub, harness: DownloadHarness) -> None:
    hub.add("org/m", {**a_repository(), "../../../evil.json": b"{}"})
    result = harness.download()
    assert isinstance(result, Failed)
    assert result.reason == "unexpected_response"
    assert not list(harness.folder.rglob("evil.json"))


def test_a_commit_that_is_none_is_refused(hub: Hub, harness: DownloadHarness) -> None:
    hub.add("org/m", a_repository(), commit="../../../../evil")
    result = harness.download()
    assert isinstance(result, Failed)
    assert result.reason == "unexpected_response"
    assert not list(harness.folder.rglob("evil*"))


def test_two_processes_download_the_same_repository_once(hub: Hub, harness: DownloadHarness) -> None:
    data = hold_large_repository(hub, harness)
    first = harness.start(harness.request(M))
    wait_for(partial_path(harness, data), 100_000)
    with harness.start(harness.request(M)) as second:
        assert second.stdout
        result = (decode_line(text) for text in second.stdout)
        assert any(isinstance(one, Progress) and one.step == "waiting" for one in result)
        hub.release()
        assert isinstance(list(result)[-1], Done)
    assert isinstance(harness.wait_for_end(first), Done)
    assert len(hub.requests("/cdn/")) == 1


def test_encodings_are_compared_with_what_was_published(hub: Hub, harness: DownloadHarness) -> None:
    harness.environment["TIKTOKEN_ENCODINGS_BASE"] = f"{hub.url}/encodings"
    hub.encodings["o200k_base.tiktoken"] = b"IQ== 0\n" * 516275
    hub.add("org/m", a_repository())
    result = harness.download(Need("org/m"), encodings=("o200k_base",))
    assert isinstance(result, Failed)
    assert result.reason == "digest_mismatch"
    assert "o200k_base.tiktoken" in result.message
    assert not (encodings_folder(harness.models) / "o200k_base.tiktoken").exists()


def test_encodings_that_are_what_was_published_are_kept(hub: Hub, tmp_path: Path) -> None:
    data = b"IQ== 0\n" * 1000
    hub.encodings["o200k_base.tiktoken"] = data
    meter = Meter(lambda _: None)
    known = {"o200k_base": PublishedFile(len(data), digest(data))}
    Downloader(tmp_path, None, meter).download_encodings(["o200k_base"], f"{hub.url}/encodings/", known)
    assert (encodings_folder(tmp_path) / "o200k_base.tiktoken").read_bytes() == data
    assert meter.downloaded == len(data)


def test_another_programs_download_counts_when_it_is_complete(hub: Hub, harness: DownloadHarness) -> None:
    files = a_repository()
    hub.add("org/m", files)
    harness.download()
    shutil.rmtree(harness.models / "downloads")
    assert inspect_source(M, harness.models).state == "complete"
    name = "model-00002-of-00002.safetensors"
    blob = (snapshot(harness) / name).resolve()
    os.truncate(blob, 1000)
    assert inspect_source(M, harness.models).missing == (name,)
    blob.unlink()
    assert inspect_source(M, harness.models).missing == (name,)
