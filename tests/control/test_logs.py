"""The daemon's own lines and the log files of runs over the control API."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sparkd.control.client import ControlClient
from sparkd.control.log_files import log_file_routes
from sparkd.control.log_lines import log_routes
from sparkd.errors import DaemonError
from sparkd.journal.handler import event
from sparkd.journal.lines import LineFilter
from sparkd.journal.recent import RecentLines
from sparkd.processes.run_directories import RunDirectories
from tests.control.fake_supervisor import FakeDaemon, serve_fake_daemon

logger = logging.getLogger("tests.control.logs")


@pytest.fixture
def recent() -> Iterator[RecentLines]:
    handler = RecentLines()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


@pytest.fixture
def folders(tmp_path: Path) -> RunDirectories:
    return RunDirectories(tmp_path / "run", tmp_path / "logs")


@pytest.fixture
def served(tmp_path: Path, recent: RecentLines, folders: RunDirectories) -> Iterator[FakeDaemon]:
    with serve_fake_daemon(
        tmp_path,
        routes=lambda supervisor: [*log_routes(recent), *log_file_routes(supervisor, folders.log_paths)],
    ) as served:
        yield served


@pytest.fixture
def http(served: FakeDaemon) -> Iterator[httpx.Client]:
    transport = httpx.HTTPTransport(uds=str(served.socket))
    with httpx.Client(transport=transport, base_url="http://sparkd", trust_env=False, timeout=30) as client:
        yield client


def test_the_lines_are_json_and_fields_that_are_unknown_are_left_out(http: httpx.Client) -> None:
    logger.info("Loaded.", extra=event("ready", "qwen"))
    logger.warning("two\nlines")
    answer = http.get("/log?lines=5")
    assert answer.headers["content-type"] == "application/x-ndjson"
    first, second = map(json.loads, answer.text.splitlines())
    assert {name: first[name] for name in ("level", "message", "event", "model")} == {
        "level": "info",
        "message": "Loaded.",
        "event": "ready",
        "model": "qwen",
    }
    assert second["message"] == "two\nlines"
    assert "event" not in second


def test_an_unknown_level_is_an_error_with_the_nearest_one(http: httpx.Client) -> None:
    answer = http.get("/log?level=warn")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "level"
    assert 'did you mean "warning"?' in answer.json()["error"]["message"]


def test_a_client_follows_the_lines_of_one_event(served: FakeDaemon, recent: RecentLines) -> None:
    logger.info("before", extra=event("ready"))
    with ControlClient(served.socket) as client:
        lines = client.own_lines(LineFilter(event="ready"), lines=1, follow=True)
        assert next(lines).message == "before"
        logger.info("another event", extra=event("stopped"))
        logger.info("after", extra=event("ready"))
        assert next(lines).message == "after"
        lines.close()
    assert len(recent.tail(10)) == 3


def test_log_files_of_earlier_runs_are_listed_and_read(served: FakeDaemon, folders: RunDirectories) -> None:
    names = []
    for run, text in enumerate(("one\ntwo\n", "three\n")):
        path = folders.new_log_path("qwen", run)
        path.write_text(text)
        names.append(path.name)
    with ControlClient(served.socket) as client:
        files = client.log_files("coder")  # an alias
        assert [each.file for each in files] == sorted(names, reverse=True)
        assert list(client.log_file("qwen", names[0], lines=1)) == ["two"]
        assert list(client.log_file("qwen", names[0])) == ["one", "two"]
        with pytest.raises(DaemonError, match="sparkctl logs qwen --runs"):
            list(client.log_file("qwen", "qwen.20200101T000000000.1.log"))


@pytest.mark.parametrize("name", ["..%2Fcontrol.sock", "%2Fetc%2Fpasswd", "%2e%2e", "models.toml"])
def test_only_log_files_of_the_model_can_be_read(http: httpx.Client, name: str) -> None:
    answer = http.get(f"/models/qwen/runs/{name}")
    assert answer.status_code == 404
    assert "root:" not in answer.text
