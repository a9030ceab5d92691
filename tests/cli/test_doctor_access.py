"""What `sparkctl doctor` makes of Docker's network, and of addresses that systemd holds."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from sparkd.cli.doctor import access_checks
from sparkd.cli.doctor.addresses import inspect_ports
from sparkd.cli.doctor.facts import KeyFile
from tests.cli.doctor_facts import HEALTHY, INSTALLED, check_with, with_status

BRIDGE = "172.17.0.1"
LOCAL = ("127.0.0.1:8009", "[::1]:8009")
OPEN = (*LOCAL, f"{BRIDGE}:8009")
KEYS = replace(INSTALLED, key_file=KeyFile(Path("/keys"), 0o600))


def test_a_machine_without_docker_has_nothing_to_say() -> None:
    assert list(access_checks.check_containers(HEALTHY)) == []


def test_containers_that_cannot_connect_are_no_problem_and_the_commands_are_named() -> None:
    facts = {"bridges": (BRIDGE,), "catalogue": KEYS, "status": with_status(listen=LOCAL)}
    level, found, fix = check_with(access_checks.check_containers, **facts, unit_listen=LOCAL)
    assert (level, found) == (
        "ok",
        f"containers of Docker cannot connect; to let them connect to {BRIDGE}:8009",
    )
    assert f"printf '[Socket]\\nListenStream={BRIDGE}:8009\\n' | sudo tee" in fix
    assert fix.endswith("sudo systemctl restart sparkd.socket sparkd`")
    _, _, fix = check_with(access_checks.check_containers, **facts)
    assert (
        fix == f'set `server.listen = ["127.0.0.1:8009", "[::1]:8009", "{BRIDGE}:8009"]`, then restart sparkd'
    )


@pytest.mark.parametrize("listen", [OPEN, ("0.0.0.0:8009",), ("[::]:8009",)])
def test_containers_that_can_connect_have_a_url(listen: tuple[str, ...]) -> None:
    level, found, fix = check_with(
        access_checks.check_containers,
        bridges=(BRIDGE,),
        catalogue=KEYS,
        status=with_status(listen=listen),
    )
    assert (level, fix) == ("ok", "")
    assert "--add-host host.docker.internal:host-gateway" in found
    assert found.endswith("http://host.docker.internal:8009/v1")


@pytest.mark.parametrize(
    ("hosts", "level"), [((), "warning"), (("host.docker.internal",), "ok"), (("*.docker.internal",), "ok")]
)
def test_without_keys_the_name_in_containers_must_be_listed(hosts: tuple[str, ...], level: str) -> None:
    found, _, fix = check_with(
        access_checks.check_containers,
        bridges=(BRIDGE,),
        catalogue=replace(INSTALLED, hosts=hosts),
        status=with_status(listen=OPEN),
    )
    assert found == level
    assert ('`server.hosts = ["host.docker.internal"]`' in fix) is (level == "warning")


def test_a_socket_of_systemd_is_known_without_the_daemon() -> None:
    asleep = {"status": None, "daemon": "forbidden", "unit_listen": OPEN}
    level, found, _ = check_with(access_checks.check_api_keys, **asleep)
    assert (level, f"{BRIDGE}:8009 is open" in found) == ("error", True)
    assert (
        "can connect"
        in check_with(access_checks.check_containers, **asleep, catalogue=KEYS, bridges=(BRIDGE,))[1]
    )


def test_each_address_of_the_catalogue_is_tested() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        first, second = inspect_ports(f"localhost:{port}")
        assert (first.listen, first.problem) == (f"127.0.0.1:{port}", None)
        assert (second.listen, second.taken) == (f"[::1]:{port}", True)
        assert second.holder is not None
    alone = {"status": None, "daemon": "absent", "units": None}
    assert check_with(
        access_checks.check_port,
        **alone,
        catalogue=replace(INSTALLED, ports=inspect_ports(f"localhost:{port}")),
    )[:2] == ("ok", f"127.0.0.1:{port} and [::1]:{port} are free")
