"""The process that fetches, against a hub of our own: what arrives, what is refused, how it goes on."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from sparkd.hub.encodings import Published
from sparkd.hub.fetching import Fetcher, Meter
from sparkd.hub.layout import INCOMPLETE, commit_of, encodings, is_being_fetched, repository
from sparkd.hub.needs import Need
from sparkd.hub.reading import look_at
from sparkd.hub.telling import Done, Failed, Progress, read_line
from tests.hub.conftest import Shelf
from tests.hub.server import COMMIT, Hub, a_repository, digest, safetensors

M = Need("org/m")


def snapshot(shelf: Shelf, commit: str = COMMIT) -> Path:
    return repository(shelf.models, "org/m") / "snapshots" / commit


def big(hub: Hub, size: int = 3_000_000) -> bytes:
    """A repository with one file that takes a while."""
    data = safetensors(size)
    hub.add("org/m", {"model.safetensors": data, "config.json": b"{}"})
    return data


def part_of(shelf: Shelf, data: bytes) -> Path:
    return repository(shelf.models, "org/m") / "blobs" / (digest(data) + INCOMPLETE)


def wait_for(path: Path, size: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if path.exists() and path.stat().st_size >= size:
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} never had {size} bytes")


def test_what_an_engine_needs_arrives_and_is_whole(hub: Hub, shelf: Shelf) -> None:
    files = a_repository()
    hub.add("org/m", files)
    done = shelf.fetch()
    assert isinstance(done, Done)
    assert done.commits == {"org/m": COMMIT}
    there = {
        str(path.relative_to(snapshot(shelf))): path.read_bytes()
        for path in snapshot(shelf).rglob("*")
        if path.is_file()
    }
    unwanted = {"README.md", "pytorch_model.bin", "original/consolidated.00.pth", "onnx/model.onnx"}
    assert there == {name: data for name, data in files.items() if name not in unwanted}
    assert done.fetched == sum(map(len, there.values()))
    assert commit_of(repository(shelf.models, "org/m"), None) == COMMIT
    found = look_at(M, shelf.models)
    assert (found.state, found.missing, found.left) == ("whole", (), 0)


def test_the_second_time_nothing_is_fetched(hub: Hub, shelf: Shelf) -> None:
    hub.add("org/m", a_repository())
    shelf.fetch()
    hub.asked.clear()
    assert shelf.fetch() == Done(fetched=0, commits={"org/m": COMMIT})
    assert [path for _, path, _, _ in hub.asked] == ["/api/models/org/m/revision/main"]


def test_a_newer_commit_comes_with_what_has_changed_alone(hub: Hub, shelf: Shelf) -> None:
    files = a_repository()
    hub.add("org/m", files)
    shelf.fetch()
    hub.add("org/m", {**files, "config.json": b'{"model_type": "llama", "new": 1}'}, commit="b" * 40)
    done = shelf.fetch()
    assert done == Done(fetched=33, commits={"org/m": "b" * 40})
    assert commit_of(repository(shelf.models, "org/m"), None) == "b" * 40


def test_a_revision_is_fetched_under_its_own_name(hub: Hub, shelf: Shelf) -> None:
    hub.add("org/m", a_repository())
    assert isinstance(shelf.fetch(Need("org/m", "v1")), Done)
    assert look_at(Need("org/m", "v1"), shelf.models).state == "whole"
    assert look_at(Need("org/m", COMMIT), shelf.models).state == "whole"
    assert look_at(M, shelf.models).state != "whole"


def test_of_mistrals_two_formats_one_is_fetched(hub: Hub, shelf: Shelf) -> None:
    hub.add("org/m", {**a_repository(1), "consolidated.safetensors": safetensors(5), "params.json": b"{}"})
    shelf.fetch()
    assert not (snapshot(shelf) / "consolidated.safetensors").exists()
    shelf.fetch(Need("org/m", consolidated=True))
    assert (snapshot(shelf) / "consolidated.safetensors").exists()


def test_a_token_is_shown_to_the_hub_and_not_to_where_it_sends_us(hub: Hub, shelf: Shelf) -> None:
    hub.add("org/m", a_repository())
    (shelf.folder / "state").mkdir()
    (shelf.folder / "state" / "hub-token").write_text("hf_secret\n")
    assert isinstance(shelf.fetch(), Done)
    assert {who for _, path, _, who in hub.asked if "/resolve/" in path} == {"Bearer hf_secret"}
    assert {who for _, path, _, who in hub.asked if "/cdn/" in path} == {""}


def test_after_kill_9_it_goes_on_where_it_was(hub: Hub, shelf: Shelf) -> None:
    data = big(hub)
    hub.faults.pace = 0.02
    process = shelf.start(shelf.order(M))
    wait_for(part_of(shelf, data), 500_000)
    assert is_being_fetched(shelf.models, "org/m")
    process.kill()
    process.communicate()
    had = part_of(shelf, data).stat().st_size
    found = look_at(M, shelf.models)
    assert (found.state, found.left) == ("incomplete", len(data) - had)
    assert not found.fetching
    hub.faults.pace = 0
    hub.asked.clear()
    done = shelf.fetch()
    assert isinstance(done, Done), done
    assert [asked for _, path, asked, _ in hub.asked if "/cdn/" in path] == [f"bytes={had}-"]
    assert (snapshot(shelf) / "model.safetensors").read_bytes() == data


def test_it_ends_with_whoever_started_it(hub: Hub, shelf: Shelf) -> None:
    data = big(hub)
    hub.faults.pace = 0.05
    with shelf.start(shelf.order(M)) as process:
        wait_for(part_of(shelf, data), 100_000)
        assert process.stdin
        process.stdin.close()
        assert process.wait(5) != 0
    assert look_at(M, shelf.models).state == "incomplete"


def test_a_connection_that_is_cut_again_and_again_is_no_reason_to_give_up(hub: Hub, shelf: Shelf) -> None:
    data = big(hub, 400_000)
    hub.faults.cut_after, hub.faults.cuts = 100_000, 3
    assert isinstance(shelf.fetch(), Done)
    ranges = [asked for _, path, asked, _ in hub.asked if "/cdn/" in path]
    assert len(ranges) == 4
    assert ranges[-1] > ranges[1] > ""
    assert (snapshot(shelf) / "model.safetensors").read_bytes() == data


def test_a_hub_that_falls_silent_in_the_middle_is_asked_again(hub: Hub, shelf: Shelf) -> None:
    data = big(hub, 400_000)
    hub.faults.stall_after, hub.faults.stalls = 100_000, 1
    began = time.monotonic()
    assert isinstance(shelf.fetch(), Done)
    assert time.monotonic() - began < 10
    assert (snapshot(shelf) / "model.safetensors").read_bytes() == data


def test_a_server_that_knows_no_ranges_sends_it_all_again(hub: Hub, shelf: Shelf) -> None:
    data = big(hub, 400_000)
    hub.faults.cut_after, hub.faults.cuts, hub.faults.ignore_range = 100_000, 1, True
    done = shelf.fetch()
    assert isinstance(done, Done)
    assert done.fetched > len(data) + 100_000 - 16384
    assert (snapshot(shelf) / "model.safetensors").read_bytes() == data


def test_wrong_bytes_once_are_fetched_again(hub: Hub, shelf: Shelf) -> None:
    data = big(hub, 100_000)
    hub.faults.wrong = 1
    assert isinstance(shelf.fetch(), Done)
    assert (snapshot(shelf) / "model.safetensors").read_bytes() == data


def test_wrong_bytes_twice_are_told_and_never_counted_as_there(hub: Hub, shelf: Shelf) -> None:
    big(hub, 100_000)
    hub.faults.wrong = 9
    told = shelf.fetch()
    assert isinstance(told, Failed)
    assert told.reason == "wrong_bytes"
    assert "model.safetensors was downloaded twice" in told.message
    assert look_at(M, shelf.models).state == "incomplete"


def test_a_part_of_something_else_is_found_out_by_its_digest(hub: Hub, shelf: Shelf) -> None:
    data = big(hub, 100_000)
    part_of(shelf, data).parent.mkdir(parents=True)
    part_of(shelf, data).write_bytes(b"x" * 50_000)
    assert isinstance(shelf.fetch(), Done)
    assert (snapshot(shelf) / "model.safetensors").read_bytes() == data


def test_verify_finds_what_has_changed_on_the_disk_and_fetches_it_anew(hub: Hub, shelf: Shelf) -> None:
    data = big(hub, 100_000)
    shelf.fetch()
    blob = (snapshot(shelf) / "model.safetensors").resolve()
    blob.write_bytes(data[:-1] + b"!")
    assert isinstance(done := shelf.fetch(), Done)
    assert done.fetched == 0  # as long as it should be: only reading it tells
    done = shelf.fetch(verify=True)
    assert isinstance(done, Done)
    assert (done.fetched, done.notes) == (
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
        (403, {"X-Error-Message": "Your token is read-none"}, "token_refused", "(Your token is read-none)"),
        (403, {"content-type": "text/html"}, "not_the_hub", "answered 403 instead of the hub"),
        (407, {}, "not_the_hub", "answered 407 instead of the hub"),
        (429, {"Retry-After": "77"}, "rate_limited", "too many requests"),
        (503, {}, "unreachable", "The hub answered 503"),
    ],
)
def test_what_the_hub_refuses_says_what_to_do(
    hub: Hub, shelf: Shelf, status: int, headers: dict[str, str], reason: str, words: str
) -> None:
    hub.add("org/m", a_repository())
    hub.faults.status["/api/"] = (status, headers, 99)
    told = shelf.fetch()
    assert isinstance(told, Failed)
    assert told.reason == reason
    assert words.format(url=hub.url) in told.message
    assert told.retry_after == (77.0 if status == 429 else None)


def test_a_token_without_access_to_a_gated_model_is_told_so(hub: Hub, shelf: Shelf) -> None:
    shelf.more["HF_TOKEN"] = "hf_mine"
    hub.faults.status["/api/"] = (403, {"X-Error-Code": "GatedRepo"}, 1)
    told = shelf.fetch()
    assert isinstance(told, Failed)
    assert f"no access to it yet. Request access at {hub.url}/org/m" in told.message


def test_being_asked_to_wait_a_moment_in_the_middle_is_obeyed(hub: Hub, shelf: Shelf) -> None:
    big(hub, 10_000)
    hub.faults.status["/cdn/"] = (429, {"Retry-After": "1"}, 1)
    began = time.monotonic()
    assert isinstance(shelf.fetch(), Done)
    assert time.monotonic() - began > 1.0


def test_a_login_page_in_the_hubs_place_is_told(hub: Hub, shelf: Shelf) -> None:
    hub.add("org/m", a_repository())
    hub.faults.garbage = True
    told = shelf.fetch()
    assert isinstance(told, Failed)
    assert told.reason == "not_the_hub"
    assert "a login page answers" in told.message


def test_no_network_is_told_and_what_is_there_counts(hub: Hub, shelf: Shelf) -> None:
    hub.add("org/m", a_repository())
    shelf.fetch()
    shelf.more["HF_ENDPOINT"] = "http://127.0.0.1:9"
    done = shelf.fetch()
    assert isinstance(done, Done)
    assert (
        "org/m is complete on disk, but sparkd cannot check for a newer version: Cannot reach 127.0.0.1:9"
        in done.notes[0]
    )
    told = shelf.fetch(Need("org/other"))
    assert isinstance(told, Failed)
    assert told.reason == "unreachable"


def test_a_service_without_network_says_who_has_one(shelf: Shelf) -> None:
    shelf.more |= {"HF_ENDPOINT": "http://127.0.0.1:9", "INVOCATION_ID": "x"}
    told = shelf.fetch()
    assert isinstance(told, Failed)
    assert "`sudo sparkctl pull`" in told.message


def test_a_disk_without_room_is_told_before_anything_is_fetched(hub: Hub, shelf: Shelf) -> None:
    hub.add("org/m", a_repository())
    shelf.models.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", shelf.models], check=True)
    try:
        told = shelf.fetch()
        assert isinstance(told, Failed)
        assert told.reason == "disk_full"
        assert "1 GiB must stay free" in told.message
        assert not hub.requests("/resolve/")
    finally:
        subprocess.run(["umount", shelf.models], check=True)


def test_a_disk_that_fills_up_in_the_middle_is_told_and_what_arrived_stays(hub: Hub, shelf: Shelf) -> None:
    data = big(hub, 400_000)

    process = shelf.start(shelf.order(M))
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (200_000, 200_000))
    told = shelf.end_of(process)
    assert isinstance(told, Failed)
    assert told.reason == "disk_full"
    assert part_of(shelf, data).stat().st_size == 200_000
    assert isinstance(shelf.fetch(), Done)


def test_a_listing_that_leads_out_of_its_folder_is_refused(hub: Hub, shelf: Shelf) -> None:
    hub.add("org/m", {**a_repository(), "../../../evil.json": b"{}"})
    told = shelf.fetch()
    assert isinstance(told, Failed)
    assert told.reason == "not_the_hub"
    assert not list(shelf.folder.rglob("evil.json"))


def test_a_commit_that_is_none_is_refused(hub: Hub, shelf: Shelf) -> None:
    hub.add("org/m", a_repository(), commit="../../../../evil")
    told = shelf.fetch()
    assert isinstance(told, Failed)
    assert told.reason == "not_the_hub"
    assert not list(shelf.folder.rglob("evil*"))


def test_two_who_want_the_same_fetch_it_once(hub: Hub, shelf: Shelf) -> None:
    data = big(hub, 5_000_000)
    hub.faults.pace = 0.02
    first = shelf.start(shelf.order(M))
    wait_for(part_of(shelf, data), 100_000)
    with shelf.start(shelf.order(M)) as second:
        assert second.stdout
        told = (read_line(text) for text in second.stdout)
        assert any(isinstance(one, Progress) and one.step == "waiting" for one in told)
        hub.faults.pace = 0
        assert isinstance(list(told)[-1], Done)
    assert isinstance(shelf.end_of(first), Done)
    assert len(hub.requests("/cdn/")) == 1


def test_encodings_are_compared_with_what_was_published(hub: Hub, shelf: Shelf) -> None:
    shelf.more["TIKTOKEN_ENCODINGS_BASE"] = f"{hub.url}/encodings"
    hub.encodings["o200k_base.tiktoken"] = b"IQ== 0\n" * 516275
    hub.add("org/m", a_repository())
    told = shelf.fetch(Need("org/m"), encodings=("o200k_base",))
    assert isinstance(told, Failed)
    assert told.reason == "wrong_bytes"
    assert "o200k_base.tiktoken" in told.message
    assert not (encodings(shelf.models) / "o200k_base.tiktoken").exists()


def test_encodings_that_are_what_was_published_are_kept(hub: Hub, tmp_path: Path) -> None:
    data = b"IQ== 0\n" * 1000
    hub.encodings["o200k_base.tiktoken"] = data
    meter = Meter(lambda _: None)
    known = {"o200k_base": Published(len(data), digest(data))}
    Fetcher(tmp_path, None, meter).fetch_encodings(["o200k_base"], f"{hub.url}/encodings/", known)
    assert (encodings(tmp_path) / "o200k_base.tiktoken").read_bytes() == data
    assert meter.fetched == len(data)


def test_another_programs_download_counts_when_it_is_whole(hub: Hub, shelf: Shelf) -> None:
    files = a_repository()
    hub.add("org/m", files)
    shelf.fetch()
    shutil.rmtree(shelf.models / "downloads")
    assert look_at(M, shelf.models).state == "whole"
    name = "model-00002-of-00002.safetensors"
    blob = (snapshot(shelf) / name).resolve()
    os.truncate(blob, 1000)
    assert look_at(M, shelf.models).missing == (name,)
    blob.unlink()
    assert look_at(M, shelf.models).missing == (name,)
