"""ControlClient against a served stand-in, as a program of one's own would use it."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkd.catalog.quantities import GIB
from sparkd.control.client import ControlClient
from sparkd.errors import DaemonError, DaemonUnreachable, QueueFull
from tests.control.fake_supervisor import FakeDaemon, serve_fake_daemon


@pytest.fixture
def served(tmp_path: Path) -> Iterator[FakeDaemon]:
    with serve_fake_daemon(tmp_path) as served:
        yield served


@pytest.fixture
def client(served: FakeDaemon) -> Iterator[ControlClient]:
    with ControlClient(served.socket) as client:
        yield client


def test_answers_are_typed(client: ControlClient) -> None:
    status = client.status()
    assert status.memory.budget == 112 * GIB
    model = status.model("tiny")
    assert model is not None
    assert model == client.model("tiny")
    assert status.model("coder") is None
    assert client.load("Qwen/Qwen3").state == "ready"
    assert client.stop("qwen").state == "stopped"
    assert client.retry("qwen").quarantined is False


def test_the_daemon_s_errors_keep_their_code_and_the_time_to_wait(
    served: FakeDaemon, client: ControlClient
) -> None:
    served.supervisor.refusals["tiny"] = QueueFull(
        "1024 requests are waiting already, which is the limit.", retry_after=7.0
    )
    with pytest.raises(DaemonError, match="1024 requests are waiting already, which is the limit") as raised:
        client.load("tiny")
    error = raised.value
    assert (error.status, error.type, error.code, error.retry_after) == (
        429,
        "rate_limit_error",
        "queue_full",
        7.0,
    )
    with pytest.raises(DaemonError) as raised:
        list(client.logs("nonsense"))
    assert raised.value.code == "model_not_found"


def test_names_that_mean_something_in_a_url_are_names(client: ControlClient) -> None:
    for name in ("a?b", "a#b", "a/../status", "%71wen", "a b", "ü"):
        with pytest.raises(DaemonError) as raised:
            client.model(name)
        assert raised.value.code == "model_not_found"


def test_log_lines_are_split_where_the_engine_ended_them(served: FakeDaemon, client: ControlClient) -> None:
    lines = ["a\u2028b", "c\u0085d", "", "e"]  # which str.splitlines would split further
    served.write_log("qwen", *lines)
    assert list(client.logs("qwen")) == lines


def test_a_follower_may_stop_in_the_middle(served: FakeDaemon, client: ControlClient) -> None:
    served.write_log("qwen", "one", "two")
    following = client.logs("qwen", follow=True)
    assert next(following) == "one"
    following.close()
    assert client.status().pid == 4711


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # httpcore's, after a failed connect
def test_a_client_survives_a_restart_of_the_daemon(tmp_path: Path) -> None:
    with serve_fake_daemon(tmp_path) as served:
        client = ControlClient(served.socket)
        assert client.status().pid == 4711
    with pytest.raises(DaemonUnreachable):
        client.status()
    gc.collect()
    served.socket.unlink()
    with serve_fake_daemon(tmp_path), client:
        assert client.status().pid == 4711


def test_a_daemon_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "deaf.sock"
    with socket.socket(socket.AF_UNIX) as silent_listener:
        silent_listener.bind(str(path))
        silent_listener.listen()
        with (
            ControlClient(path, timeout=0.2) as client,
            pytest.raises(DaemonUnreachable, match=r"for 0\.2 s"),
        ):
            client.status()
