"""`sparkctl load`, `stop`, `retry` and `logs` against a served stand-in."""

from __future__ import annotations

import json
import signal
import subprocess

from sparkd.errors import InsufficientMemory, ModelFailed, QueueFull
from tests.cli.running import clean_environment, command, sparkctl
from tests.control.fake_supervisor import FakeDaemon, wait_until


def test_load_says_when_the_model_is_ready_and_how_long_its_start_took(served: FakeDaemon) -> None:
    result = sparkctl("load", "coder", "--socket", served.socket)
    assert (result.code, result.out, result.err) == (0, "qwen is ready (started in 12 s)\n", "")


def test_stop_and_retry_say_what_has_become_of_the_model(served: FakeDaemon) -> None:
    served.supervisor.set("qwen", state="ready")
    assert sparkctl("stop", "qwen", "--socket", served.socket).out == "qwen is stopped\n"
    served.supervisor.set("tiny", state="backoff", quarantined=True)
    result = sparkctl("retry", "tiny", "--socket", served.socket)
    assert result.out == "tiny is stopped; the next request for it starts it\n"


def test_a_program_gets_the_model_as_json(served: FakeDaemon) -> None:
    for verb, state in (("load", "ready"), ("stop", "stopped"), ("retry", "stopped")):
        result = sparkctl(verb, "qwen", "--json", "--socket", served.socket)
        assert json.loads(result.out)["state"] == state


def test_an_unknown_model_is_4_and_the_nearest_is_named(served: FakeDaemon) -> None:
    for verb in ("status", "load", "stop", "retry", "logs"):
        result = sparkctl(verb, "qwem", "--socket", served.socket)
        assert result.code == 4
        assert '"qwen"' in result.err


def test_a_disabled_model_is_6_and_the_reason_is_told(served: FakeDaemon) -> None:
    result = sparkctl("load", "old", "--socket", served.socket)
    assert result.code == 6
    assert "its license ran out" in result.err


def test_what_may_succeed_later_is_5_with_the_time_to_wait(served: FakeDaemon) -> None:
    served.supervisor.refusals["qwen"] = QueueFull(
        "1024 requests are waiting already, which is the limit.", retry_after=72.0
    )
    result = sparkctl("load", "qwen", "--socket", served.socket)
    assert result.code == 5
    assert (
        result.err
        == "sparkctl: 1024 requests are waiting already, which is the limit. Try again in 1 min 12 s.\n"
    )
    served.supervisor.refusals["qwen"] = InsufficientMemory(
        "qwen needs 20.0 GiB, but pinned models leave too little memory."
    )
    result = sparkctl("load", "qwen", "--socket", served.socket)
    assert (result.code, result.err) == (
        5,
        "sparkctl: qwen needs 20.0 GiB, but pinned models leave too little memory.\n",
    )


def test_a_start_that_went_wrong_is_1_with_its_cause(served: FakeDaemon) -> None:
    served.supervisor.refusals["qwen"] = ModelFailed("qwen failed: Out of memory.", retry_after=5.0)
    result = sparkctl("load", "qwen", "--socket", served.socket)
    assert result.code == 1
    assert result.err == "sparkctl: qwen failed: Out of memory. Try again in 5.0 s.\n"


def test_a_program_gets_errors_as_json_on_stderr(served: FakeDaemon) -> None:
    served.supervisor.refusals["qwen"] = QueueFull(
        "1024 requests are waiting already, which is the limit.", retry_after=71.2
    )
    result = sparkctl("load", "qwen", "--json", "--socket", served.socket)
    assert (result.code, result.out) == (5, "")
    assert json.loads(result.err) == {
        "error": {
            "message": "1024 requests are waiting already, which is the limit.",
            "type": "rate_limit_error",
            "code": "queue_full",
            "param": None,
            "retry_after": 72.0,
        }
    }


def test_ctrl_c_takes_a_load_back_quietly(served: FakeDaemon) -> None:
    served.supervisor.loading.clear()
    with subprocess.Popen(
        command("load", "qwen", "--socket", served.socket),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=clean_environment(),
    ) as loading:
        wait_until(lambda: served.supervisor.waiting == ["qwen"])
        loading.send_signal(signal.SIGINT)
        assert loading.communicate(timeout=60)[0] == b""
        assert loading.returncode == 130
    wait_until(lambda: served.supervisor.waiting == [])


def test_logs_prints_the_last_lines_that_were_asked_for(served: FakeDaemon) -> None:
    served.write_log("qwen", *(f"line {number} ✓" for number in range(300)))
    assert sparkctl("logs", "-n", "2", "coder", "--socket", served.socket).out == "line 298 ✓\nline 299 ✓\n"
    assert len(sparkctl("logs", "qwen", "--socket", served.socket).out.splitlines()) == 200
    result = sparkctl("logs", "-n1", "qwen", "--json", "--socket", served.socket)
    assert json.loads(result.out) == {"line": "line 299 ✓"}


def test_logs_on_an_ascii_terminal_does_not_end_in_a_trace(served: FakeDaemon) -> None:
    served.write_log("qwen", "100 % ✓")
    result = sparkctl("logs", "qwen", "--socket", served.socket, environment={"PYTHONIOENCODING": "ascii"})
    assert (result.code, result.out) == (0, "100 % ?\n")


def test_a_model_that_has_not_run_has_no_log_and_that_is_4(served: FakeDaemon) -> None:
    result = sparkctl("logs", "qwen", "--socket", served.socket)
    assert result.code == 4
    assert result.err == 'sparkctl: model "qwen" has not run since sparkd started, so it has no log\n'


def test_following_prints_each_line_as_it_comes_until_the_process_ends(served: FakeDaemon) -> None:
    served.write_log("qwen", "one")
    with subprocess.Popen(
        command("logs", "-f", "qwen", "--socket", served.socket),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
        text=True,
    ) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "one\n"
        served.write_log("qwen", "two")
        assert following.stdout.readline() == "two\n"
        served.end_process("qwen")
        assert following.communicate(timeout=60) == ("", "sparkctl: the process of qwen has ended\n")
        assert following.returncode == 0


def test_a_follower_piped_into_head_ends_quietly(served: FakeDaemon) -> None:
    served.write_log("qwen", *(f"line {number}" for number in range(2000)))
    line = f"{' '.join(command('logs', '-n', '2000', 'qwen', '--socket', served.socket))} | head -n 1"
    piped = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        capture_output=True,
        env=clean_environment(),
        text=True,
        timeout=120,
        check=False,
    )
    assert (piped.stdout, piped.stderr) == ("line 0\n", "")
    assert piped.returncode in (0, 141)
