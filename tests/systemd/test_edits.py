"""The owner edits the catalogue through the daemon, which may not write it. Engines cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.systemd.installation import Installation

DROP_INS = "/etc/sparkd/models.d"
WRITER = "/run/sparkd-writer.sock"
FORGED = json.dumps({"type": "write", "file": "models.d/forged.toml", "data": "", "digest": None})
PROBE = f"""
/usr/bin/python3 - <<'END'
import socket
connection = socket.socket(socket.AF_UNIX)
try:
    connection.connect("{WRITER}")
    connection.sendall(b'''{FORGED}''')
    connection.shutdown(socket.SHUT_WR)
    print("probe:", connection.makefile().read(), flush=True)
except OSError as error:
    print("probe:", error, flush=True)
END
exec "$@"
"""
"""A shell script that asks the writer as an engine, and becomes the engine."""


@pytest.fixture
def edited(sparkd: Installation) -> Iterator[Installation]:
    yield sparkd
    sparkd.lab.run("sh", "-c", f"rm -rf {DROP_INS}/own.toml {DROP_INS}/forged.toml {DROP_INS}/.edits")
    sparkd.catalogue(sparkd.models())
    sparkd.lab.run("sparkctl", "reload")


def edit(sparkd: Installation, text: str, *options: str, check: bool = True) -> str:
    """Run `sparkctl edit own` with a new text; return its output."""
    sparkd.lab.path("/tmp/own.toml").write_text(text)
    command = ("sparkctl", "edit", "own", "--from", "/tmp/own.toml", "--yes", *options)
    result = sparkd.lab.run(*command, check=check)
    return result.stdout + result.stderr


def control(sparkd: Installation, method: str, path: str, body: object) -> dict[str, object]:
    """Send a request to the control socket, as the page does."""
    command = ("curl", "--silent", "--unix-socket", "/run/sparkd-control.sock", "--request", method)
    answer = sparkd.lab.run(*command, "--data", json.dumps(body), f"http://sparkd{path}").stdout
    found: dict[str, object] = json.loads(answer)
    return found


def test_an_edit_over_the_control_socket_is_written_by_root_and_undone(edited: Installation) -> None:
    text = "[changes.a]\nidle_timeout = 77\n"
    written = control(edited, "PUT", "/catalogue/models.d/own.toml", {"text": text, "digest": None})
    assert written.get("edit") == 1, written
    listed = edited.lab.run("stat", "--format", "%U %a", f"{DROP_INS}/own.toml").stdout.split()
    assert listed == ["root", "644"]
    assert edited.lab.path(f"{DROP_INS}/own.toml").read_text() == text
    assert control(edited, "POST", "/catalogue/undo", {})["digest"] is None
    assert edited.lab.run("ls", DROP_INS).stdout.split() == ["lab.toml"]


def test_sparkctl_edit_and_undo(edited: Installation) -> None:
    assert "changed a" in edit(edited, "[changes.a]\nidle_timeout = 78\n")
    refused = edit(edited, "[changes.a]\nidle_timout = 78\n", check=False)
    assert (
        'models.d/own.toml:2:1: changes.a.idle_timout = 78: unknown key; did you mean "idle_timeout"?'
        in refused
    )
    assert "idle_timeout = 78" in edited.lab.path(f"{DROP_INS}/own.toml").read_text()
    assert "deleted again" in edited.lab.run("sparkctl", "undo").stdout


def test_a_file_keeps_its_owner_and_mode(edited: Installation) -> None:
    edited.lab.path(f"{DROP_INS}/own.toml").write_text("# own\n")
    edited.lab.run("chown", "daemon:sparkd", f"{DROP_INS}/own.toml")
    edited.lab.run("chmod", "640", f"{DROP_INS}/own.toml")
    edit(edited, "[changes.a]\nidle_timeout = 79\n")
    found = edited.lab.run("stat", "--format", "%U:%G %a", f"{DROP_INS}/own.toml").stdout.strip()
    assert found == "daemon:sparkd 640"


def test_an_engine_cannot_write_the_catalogue(edited: Installation) -> None:
    models = edited.models()
    engine = ["/usr/bin/python3", "-S", "-E", "/srv/lab/bad_engine.py", "--socket", "{socket}"]
    command = ["/bin/sh", "-c", PROBE, "probe", *engine, "--model", "prober"]
    models["prober"] = {**models["a"], "command": command}
    edited.catalogue(models)
    edited.lab.run("sparkctl", "reload")
    assert edited.chat("prober")[0] == 200
    output = edited.lab.run("sparkctl", "logs", "prober").stdout
    assert "probe: " in output
    journal = edited.lab.run("journalctl", "--unit", "sparkd-writer@*", "--output", "cat").stdout
    assert "Only the main process of sparkd may ask" in journal
    assert edited.lab.run("ls", DROP_INS).stdout.split() == ["lab.toml"]


def test_without_the_writer_the_message_names_the_command(edited: Installation) -> None:
    edited.lab.run("systemctl", "stop", "sparkd-writer.socket")
    try:
        body = {"text": "# own\n", "digest": None}
        refused = control(edited, "PUT", "/catalogue/models.d/own.toml", body)
        assert isinstance(refused["error"], dict)
        assert refused["error"]["code"] == "catalogue_not_writable"
        assert "sparkctl edit" in refused["error"]["message"]
        assert "Wrote" in edit(
            edited, "[changes.a]\nidle_timeout = 80\n"
        )  # root writes it without the daemon
        assert control(edited, "GET", "/models/a/options", None)["file"] == "models.d/lab.toml"
    finally:
        edited.lab.run("systemctl", "start", "sparkd-writer.socket")


def test_the_doctor_over_the_control_socket_finds_the_daemon(edited: Installation) -> None:
    found = control(edited, "GET", "/doctor", None)
    assert isinstance(found["findings"], list), found
    daemon = [finding for finding in found["findings"] if finding["topic"] == "daemon"]
    assert [finding["level"] for finding in daemon] == ["ok"]
