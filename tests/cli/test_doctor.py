"""`sparkctl doctor`, the command itself, with and without a daemon."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

from sparkd import __version__
from tests.cli.running import sparkctl
from tests.e2e.sparkd_process import SparkdProcess, engine


def write_catalogue(folder: Path, more: str = "") -> Path:
    """A catalogue on a free port, whose model has neither its runtime nor its source."""
    path = folder / "models.toml"
    path.write_text(
        f'[server]\nlisten = "127.0.0.1:0"\n{more}[models.one]\nsource = "./weights"\nruntime = "plain"\n'
    )
    (folder / "venvs" / "plain").mkdir(parents=True)
    (folder / "venvs" / "plain" / "runtime.toml").write_text("")
    (folder / "venvs" / "plain" / "requirements.lock").write_text("")
    return path


def run_doctor(path: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code, and the last finding of each check, of the real command."""
    result = sparkctl("doctor", "--json", "--catalogue", path)
    assert result.err == ""
    return result.code, {finding["check"]: finding for finding in json.loads(result.out)}


def test_without_a_daemon_it_says_so_and_that_is_no_failure(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path)
    code, found = run_doctor(path)
    assert code == 0
    assert found["daemon"]["message"] == "sparkd is not running"
    assert found["port"]["level"] == "ok"
    assert found["runtime"]["fix"] == "run `sparkctl runtime build plain`"
    assert found["model"]["message"] == f"one cannot start: its source {tmp_path}/weights does not exist"
    assert set(found["swap"]) == {"check", "level", "message", "fix"}
    output = sparkctl("doctor", "--catalogue", path).out.splitlines()
    assert output[0].startswith(f"ok       catalogue  {path} is valid: 1 model")
    assert any(line.startswith("warning  runtime    plain is not built") for line in output)


def test_a_catalogue_with_problems_fails_and_the_machine_is_looked_at_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text('[models.one]\nruntime = "plian"\nidle_timeuot = 3\n')
    code, found = run_doctor(path)
    assert (code, found["catalogue"]["level"]) == (1, "error")
    assert found["catalogue"]["message"][0].isdigit()
    assert "memory" in found
    path.write_text("[models.one")
    code, found = run_doctor(path)
    assert (code, found["daemon"]["level"]) == (1, "warning")


def test_a_machine_without_a_catalogue_is_told_so(tmp_path: Path) -> None:
    code, found = run_doctor(tmp_path / "none.toml")
    assert code == 1
    assert f"{tmp_path}/none.toml" in found["catalogue"]["message"]
    unnamed = sparkctl("doctor", cwd=tmp_path)
    assert (unnamed.code, unnamed.err) == (1, "")
    assert f"There is no catalogue: neither {tmp_path}/models.toml nor " in unnamed.out


def test_a_port_that_somebody_else_listens_on_is_wrong_and_names_them(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        path = write_catalogue(tmp_path)
        path.write_text(path.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        code, found = run_doctor(path)
    assert (code, found["port"]["level"]) == (1, "error")
    assert f"(PID {os.getpid()})" in found["port"]["message"]


def test_a_real_key_file_is_judged_by_its_mode_and_by_what_is_in_it(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    path = write_catalogue(tmp_path, f'api_key_file = "{keys}"\n')
    assert "cannot be read" in run_doctor(path)[1]["api keys"]["message"]
    keys.write_text("owner: sk-1\n")
    keys.chmod(0o644)
    code, found = run_doctor(path)
    assert (code, found["api keys"]["fix"]) == (1, f"run `sudo chmod o-rwx {keys}`")
    keys.chmod(0o600)
    assert run_doctor(path)[0] == 0
    keys.write_text("")
    assert "has no key" in run_doctor(path)[1]["api keys"]["message"]


def test_a_socket_that_a_killed_daemon_left_is_no_daemon_and_one_that_a_stranger_holds_is_wrong() -> None:
    with tempfile.TemporaryDirectory(prefix="sparkd-doc-") as folder:  # short: sockets live below it
        path = write_catalogue(Path(folder))
        (Path(folder) / "run").mkdir()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{folder}/run/control.sock")
            assert run_doctor(path)[1]["daemon"]["message"] == "sparkd is not running"
            listener.listen()
            threading.Thread(target=answer_nonsense, args=[listener], daemon=True).start()
            code, found = run_doctor(path)
    assert (code, found["daemon"]["level"]) == (1, "error")
    assert found["daemon"]["fix"].startswith(
        "stop the program that listens there, then run `sparkd --catalogue "
    )


def answer_nonsense(listener: socket.socket) -> None:
    """Take one connection and answer what is no HTTP."""
    with listener.accept()[0] as client:
        client.recv(1000)
        client.sendall(b"What do you want?\r\n\r\n")


def test_a_running_daemon_and_its_quarantined_model_are_told() -> None:
    broken = {"engine": "command", "command": ["/bin/sh", "-c", "exit 3", "{socket}"], "memory": "1 GiB"}
    with tempfile.TemporaryDirectory(prefix="sparkd-doc-") as folder:  # short: sockets live below it
        catalogue = {"failures": {"max_failures": 1}, "models": {"quick": engine(), "broken": broken}}
        sparkd = SparkdProcess(Path(folder), catalogue)
        sparkd.start()
        try:
            code, found = run_doctor(sparkd.catalogue)
            assert (code, found["daemon"]["level"], found["quarantine"]["level"]) == (0, "ok", "ok")
            assert found["daemon"]["message"].startswith(f"sparkd {__version__} (PID {sparkd.process.pid}) ")
            assert found["port"]["message"] == f"sparkd listens on 127.0.0.1:{sparkd.port}"
            assert sparkctl("load", "broken", "--catalogue", sparkd.catalogue).code == 1
            code, found = run_doctor(sparkd.catalogue)
            assert (code, found["quarantine"]["level"]) == (1, "error")
            assert "`sparkctl retry broken`" in found["quarantine"]["fix"]
        finally:
            sparkd.stop()
        sparkd.assert_nothing_left()
        assert run_doctor(sparkd.catalogue)[1]["daemon"]["level"] == "warning"
