"""An engine may access its folders and its accelerator, and nothing of the owner's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.systemd.installation import SERVICE, Installation

PROBE = """
try() { if eval "$1" >/dev/null 2>&1; then echo "probe: $1: yes"; else echo "probe: $1: no"; fi; }
try 'cat /etc/sparkd/keys'
try 'cat /proc/$PPID/fd/0'
try 'grep -qs sk- /proc/$PPID/environ /proc/$PPID/cmdline'
try 'ls /home/owner'
try 'ls /root'
try 'echo x >/etc/x'
try 'echo x >/opt/sparkd/x'
try 'echo x >/usr/local/bin/x'
try 'echo x >/run/x'
try 'echo x >/srv/x'
try 'echo x >/var/lib/x'
try 'echo x >/opt/sparkd/current/venvs/x'
try 'cat /etc/shadow'
try 'kill -0 1'
try 'mount -t tmpfs x /mnt'
try 'unshare --user true'
try 'curl --silent --max-time 2 --unix-socket /run/sparkd-control.sock http://x/status'
try 'echo x >/var/lib/sparkd/models/x'
try 'echo x >/var/lib/sparkd/x'
try 'echo x >$TMPDIR/x'
try 'cat /etc/sparkd/models.toml'
/usr/bin/python3 -m http.server 7070 --bind :: --directory $TMPDIR >/dev/null 2>&1 &
exec "$@"
"""
"""A shell script that tries commands, prints each result, opens one more port, and becomes the engine."""

ALLOWED = {"echo x >/var/lib/sparkd/models/x", "echo x >/var/lib/sparkd/x", "echo x >$TMPDIR/x",
           "cat /etc/sparkd/models.toml"}  # fmt: skip


@pytest.fixture
def prober_machine(sparkd: Installation) -> Iterator[Installation]:
    models = sparkd.models()
    engine = [
        "/usr/bin/python3",
        "-S",
        "-E",
        "/srv/lab/bad_engine.py",
        "--host",
        "0.0.0.0",
        "--port",
        "{port}",
    ]
    models["prober"] = {
        **models["a"],
        "command": ["/bin/sh", "-c", PROBE, "probe", *engine, "--model", "prober"],
    }
    sparkd.catalogue(models)
    sparkd.lab.run("mkdir", "-p", "/home/owner")
    yield sparkd
    sparkd.catalogue(sparkd.models())


def test_an_engine_reads_no_secrets_and_writes_only_into_its_folders(prober_machine: Installation) -> None:
    assert prober_machine.chat("prober")[0] == 200
    output = prober_machine.lab.run("sparkctl", "logs", "prober").stdout
    probes = dict(
        line.removeprefix("probe: ").rsplit(": ", 1)
        for line in output.splitlines()
        if line.startswith("probe: ")
    )
    assert len(probes) == PROBE.count("\ntry '")
    assert {probe for probe, answer in probes.items() if answer == "yes"} == ALLOWED


@pytest.fixture
def neighbour(prober_machine: Installation) -> Iterator[list[str]]:
    """Yield the command that runs a program on another machine of the LAN. There we are 192.0.2.1 and 2001:db8::1."""
    in_neighbour = ["ip", "netns", "exec", "neighbour"]
    for command in (
        "ip netns add neighbour",
        "ip link add lan type veth peer name lan netns neighbour",
        "ip address add 192.0.2.1/24 dev lan",
        "ip address add 2001:db8::1/64 dev lan nodad",
        "ip link set lan up",
        "ip -n neighbour address add 192.0.2.2/24 dev lan",
        "ip -n neighbour address add 2001:db8::2/64 dev lan nodad",
        "ip -n neighbour link set lan up",
    ):
        prober_machine.lab.run(*command.split())
    yield in_neighbour
    prober_machine.lab.run("ip", "netns", "delete", "neighbour")


def test_an_engine_that_listens_everywhere_is_reached_only_from_this_machine(
    prober_machine: Installation, neighbour: list[str]
) -> None:
    lab = prober_machine.lab
    curl = ["curl", "--silent", "--globoff", "--max-time", "1", "--output", "/dev/null"]

    def probe_from_neighbour() -> list[int]:
        assert prober_machine.chat("prober")[0] == 200
        engine = next(line for line in prober_machine.list_processes() if "--port" in line).split()
        port = engine[engine.index("--port") + 1]
        assert lab.run(*curl, f"http://127.0.0.1:{port}/health", check=False).returncode == 0
        addresses = (f"http://192.0.2.1:{port}/health", "http://[2001:db8::1]:7070/")
        return [lab.run(*neighbour, *curl, address, check=False).returncode for address in addresses]

    assert probe_from_neighbour() == [28, 28], "packets are dropped"
    with prober_machine.override("IPAddressAllow=192.0.2.0/24 2001:db8::/64"):
        lab.run("systemctl", "restart", SERVICE)
        assert probe_from_neighbour() == [0, 0]


def test_an_engine_reaches_no_other_machine(prober_machine: Installation, neighbour: list[str]) -> None:
    lab = prober_machine.lab
    serve = ["systemd-run", "--quiet", "--unit=there", *neighbour, "/usr/bin/python3", "-m", "http.server"]
    lab.run(*serve, "7000", "--directory", "/tmp")
    curl = ["curl", "--silent", "--max-time", "1", "--output", "/dev/null", "http://192.0.2.2:7000/"]
    lab.wait_until("it serves", lambda: lab.run(*curl, check=False).returncode == 0)
    lab.path("/srv/probe").write_text(f'#!/bin/sh\n{" ".join(curl)}\necho "reached: $?"\nexec "$@"\n')
    models = prober_machine.models()
    models["a"]["command"] = ["/bin/sh", "/srv/probe", *models["a"]["command"]]
    prober_machine.catalogue(models)
    assert prober_machine.chat("a")[0] == 200
    assert "reached: 28" in lab.run("sparkctl", "logs", "a").stdout
    lab.run("systemctl", "stop", "there")


def test_without_a_key_a_client_gets_nothing_and_no_engine_starts(sparkd: Installation) -> None:
    output = sparkd.lab.run(
        *("curl", "--silent", "--write-out", "%{http_code}", "--output", "/dev/null"),
        *("--data", '{"model": "a"}', "http://127.0.0.1:8009/v1/chat/completions"),
    )
    assert output.stdout == "401"
    assert sparkd.model("a")["state"] == "stopped"


def test_the_keys_are_in_no_argv_no_environment_and_no_log(sparkd: Installation) -> None:
    assert sparkd.chat("a")[0] == 200
    for pid in (sparkd.pid(), sparkd.engine_pid("a")):
        for file in ("cmdline", "environ"):
            assert sparkd.key not in sparkd.lab.path(f"/proc/{pid}/{file}").read_text()
    sparkd.lab.run("journalctl", "--sync")
    assert sparkd.key not in sparkd.lab.run("journalctl", "--no-pager").stdout
    assert sparkd.key not in sparkd.lab.run("sparkctl", "status", "--json").stdout
