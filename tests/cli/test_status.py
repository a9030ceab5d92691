"""`sparkctl status` against a served stand-in."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest

from sparkd.catalog.quantities import GIB
from sparkd.scheduling.status import LastRun, LauncherStatus
from tests.cli.running import clean_environment, command, sparkctl
from tests.control.fake_supervisor import CATALOGUE, FakeDaemon, write_catalogue


def test_the_table_tells_at_a_glance_what_runs_and_what_is_wrong(served: FakeDaemon) -> None:
    served.supervisor.set("qwen", state="ready", state_seconds=192.0, in_flight=2, footprint=20 * GIB)
    served.supervisor.set(
        "tiny",
        state="backoff",
        state_seconds=3.0,
        retry_after=17.0,
        waiting=1,
        cause="Out of memory. Lower `memory`.",
    )
    served.supervisor.waiting.append("tiny")
    result = sparkctl("status", "--socket", served.socket)
    assert result.code == 0
    assert result.err == ""
    assert result.out.splitlines() == [
        "sparkd 0.1.0 on 127.0.0.1:8009, up 3 h 12 min",
        "memory: 20.0 GiB of 112.0 GiB reserved, 8.0 GiB kept for the system",
        "queue: 1 request waiting (limit 1024)",
        "",
        "MODEL  STATE                       SINCE  IN FLIGHT  WAITING  IDLE LEFT    MEMORY",
        "qwen   ready                  3 min 12 s          2        -     in use  20.0 GiB",
        "tiny   failed, retry in 17 s       3.0 s          -        1          -   1.0 GiB",
        "",
        "tiny: Out of memory. Lower `memory`.",
        "",
        "1 disabled model not shown; --all shows them.",
    ]


def test_a_port_that_is_open_without_keys_is_a_warning(served: FakeDaemon) -> None:
    served.supervisor.exposed = ("0.0.0.0:8009",)
    lines = sparkctl("status", "--socket", served.socket).out.split("\n\n")[0].splitlines()
    assert lines[3].startswith(
        "warning: Other machines can use sparkd at 0.0.0.0:8009 without an API key. Set "
    )


def test_one_model_alone_tells_what_is_known_of_its_memory(served: FakeDaemon) -> None:
    last = LastRun(peak=18 * GIB, final=17 * GIB, load_time=95.0, phases={"loading weights": 60.0})
    figures = {"declared": 20 * GIB, "learned": 18 * GIB, "memory_used": 17 * GIB, "host_memory": 3 * GIB}
    served.supervisor.set("qwen", **figures, last_run=last)
    output = sparkctl("status", "qwen", "--socket", served.socket).out.splitlines()
    assert "memory: declared 20.0 GiB, learned 18.0 GiB, used now 17.0 GiB, host memory now 3.0 GiB" in output
    assert output[-1] == (
        "last run: at most 18.0 GiB, 17.0 GiB in the end; ready after 1 min 35 s (loading weights 1 min)"
    )


def test_launchers_and_the_way_of_a_start_are_told(served: FakeDaemon) -> None:
    served.supervisor.launchers = (
        LauncherStatus(runtime="vllm", state="ready", pid=9, memory=GIB // 2, load_time=22.0, starts=14),
        LauncherStatus(runtime="cpu", state="starting", pid=10),
        LauncherStatus(runtime="own", state="off", reason="an import started 3 native threads"),
    )
    assert sparkctl("status", "--socket", served.socket).out.splitlines()[-6:-2] == [
        "",
        "launcher vllm: ready, 0.5 GiB, 14 starts",
        "launcher cpu: starting",
        "launcher own: off until it is rebuilt, because an import started 3 native threads",
    ]
    served.supervisor.set("qwen", state="ready", start="warm")
    served.supervisor.set("tiny", state="ready", start="cold", cold_reason="warm = false")
    assert "start: warm" in sparkctl("status", "qwen", "--socket", served.socket).out.splitlines()
    one = sparkctl("status", "tiny", "--socket", served.socket).out.splitlines()
    assert "start: cold, because warm = false" in one


def test_states_say_what_makes_them_worth_knowing(served: FakeDaemon) -> None:
    served.supervisor.set("qwen", state="starting", phase="loading weights", progress=0.4)
    served.supervisor.set("tiny", state="backoff", quarantined=True, cause="It crashed.")
    result = sparkctl("status", "--all", "--socket", served.socket)
    assert "loading weights 40 %" in result.out
    assert "quarantined" in result.out
    assert "then run `sparkctl retry tiny`" in result.out
    assert "disabled " in result.out


def test_one_model_alone_by_its_alias(served: FakeDaemon) -> None:
    served.supervisor.set("qwen", state="ready", state_seconds=9.0, idle_seconds_left=1191.0, pid=12)
    result = sparkctl("status", "coder", "--socket", served.socket)
    assert result.out.splitlines() == [
        "MODEL  STATE  SINCE  IN FLIGHT  WAITING    IDLE LEFT    MEMORY",
        "qwen   ready  9.0 s          -        -  19 min 51 s  20.0 GiB",
    ]


def test_json_is_the_api_s_own_document_on_one_line(served: FakeDaemon) -> None:
    result = sparkctl("--json", "status", "--socket", served.socket)
    assert result.out.count("\n") == 1
    status = json.loads(result.out)
    assert status["memory"]["budget"] == 112 * GIB
    assert [model["id"] for model in status["models"]] == ["qwen", "tiny", "old"]
    assert json.loads(sparkctl("status", "qwen", "--json", "--socket", served.socket).out)["id"] == "qwen"


def test_without_a_terminal_nothing_is_coloured_or_cut(served: FakeDaemon) -> None:
    served.supervisor.set("tiny", state="backoff", cause="word " * 60)
    result = sparkctl("status", "--socket", served.socket, environment={"COLUMNS": "40"})
    assert "\x1b" not in result.out
    assert "tiny: " + "word " * 59 + "word" in result.out


def run_on_terminal(served: FakeDaemon, *arguments: str, environment: dict[str, str]) -> str:
    terminal, child_side = pty.openpty()
    with subprocess.Popen(
        command("status", "--socket", served.socket, *arguments),
        stdout=child_side,
        stderr=child_side,
        env=clean_environment({"TERM": "xterm-256color", "COLUMNS": "100"} | environment),
    ):
        os.close(child_side)
        return read_all(terminal)


def read_all(terminal: int) -> str:
    text = b""
    try:
        while piece := os.read(terminal, 65536):
            text += piece
    except OSError:  # EIO: the other end is closed
        return text.decode()
    finally:
        os.close(terminal)
    return text.decode()


def test_a_terminal_gets_colours_unless_no_color_is_set(served: FakeDaemon) -> None:
    served.supervisor.set("qwen", state="ready")
    assert "\x1b[32m" in run_on_terminal(served, environment={})
    assert "\x1b[32m" not in run_on_terminal(served, environment={"NO_COLOR": "1"})


def test_watching_without_a_terminal_prints_one_status_after_the_other_until_ctrl_c(
    served: FakeDaemon,
) -> None:
    with subprocess.Popen(
        command("status", "--watch", "--interval", "0.1", "--json", "--socket", served.socket),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    ) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        states = []
        for describe_state in ("stopped", "ready"):
            served.supervisor.set("qwen", state=describe_state)
            for line in watching.stdout:
                states.append(json.loads(line)["models"][0]["state"])
                if states[-1] == describe_state:
                    break
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 130
        assert watching.stderr.read() == b""


def test_a_daemon_from_the_catalogue_is_found_without_naming_its_socket(
    served: FakeDaemon, tmp_path: Path
) -> None:
    write_catalogue(tmp_path, CATALOGUE + '\n[paths]\nrun = "."\n')
    assert sparkctl("status", "tiny", cwd=tmp_path).code == 0
    assert sparkctl("status", "tiny", "--catalogue", tmp_path / "models.toml").code == 0
    assert sparkctl("status", "tiny", environment={"SPARKD_CATALOGUE": f"{tmp_path}/models.toml"}).code == 0
    assert sparkctl("status", "tiny", environment={"SPARKD_SOCKET": str(served.socket)}).code == 0


@pytest.mark.usefixtures("served")
def test_a_drop_in_may_have_moved_the_socket(tmp_path: Path) -> None:
    (tmp_path / "models.d").mkdir()
    (tmp_path / "models.d" / "10-paths.toml").write_text('[paths]\nrun = ".."\n')
    (tmp_path / "models.d" / "20-broken.toml").write_text("nonsense")
    assert sparkctl("status", "tiny", cwd=tmp_path).code == 0


@pytest.mark.usefixtures("served")
def test_a_catalogue_that_was_just_broken_does_not_hide_the_running_daemon(tmp_path: Path) -> None:
    write_catalogue(tmp_path, CATALOGUE + '\n[paths]\nrun = "."\n\n[models.new]\nnonsense = 1\n')
    assert sparkctl("check", cwd=tmp_path).code == 1
    assert sparkctl("status", "tiny", cwd=tmp_path).code == 0


def test_proxies_of_the_environment_are_not_for_this_machine(served: FakeDaemon) -> None:
    proxy = {"HTTP_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9"}
    assert sparkctl("status", "--socket", served.socket, environment=proxy).code == 0


def test_a_reader_that_stops_reading_is_no_error(served: FakeDaemon) -> None:
    with subprocess.Popen(
        command("status", "--watch", "--interval", "0.1", "--socket", served.socket),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    ) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        watching.stdout.readline()
        watching.stdout.close()
        assert watching.wait(10) == 141
        assert watching.stderr.read() == b""
