"""Which clients reach sparkd under a real systemd: both loopback addresses, the LAN, and Docker's network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.systemd.installation import SERVICE, SOCKETS, Installation

CONTAINER = "172.17.0.2"
BRIDGE = "172.17.0.1"
HOST = "host.docker.internal"
DROP_INS = "/etc/systemd/system/sparkd.socket.d"


def get(sparkd: Installation, url: str, *options: str, inside: str = "") -> str:
    """The status of GET with the key; curl's own error if there is no answer. `inside`: a network namespace."""
    command = ["ip", "netns", "exec", inside] if inside else []
    command += ["curl", "--silent", "--output", "/dev/null", "--globoff", "--max-time", "3"]
    command += [
        "--write-out",
        "%{http_code}",
        "--header",
        f"Authorization: Bearer {sparkd.key}",
        *options,
        url,
    ]
    result = sparkd.lab.run(*command, check=False)
    return result.stdout if result.returncode == 0 else f"curl: {result.returncode}"


@contextmanager
def ipv6_disabled(sparkd: Installation) -> Iterator[None]:
    """No interface of the lab has an IPv6 address during the block, as with `net.ipv6.conf.all.disable_ipv6=1`."""

    def disable(value: int) -> None:
        sparkd.lab.run(
            "sh",
            "-c",
            f"mount -o remount,bind,rw /proc/sys && echo {value} >/proc/sys/net/ipv6/conf/all/disable_ipv6",
        )

    disable(1)
    try:
        yield
    finally:
        disable(0)


def test_localhost_is_served_on_both_its_addresses_and_stays_so(sparkd: Installation) -> None:
    def check() -> None:
        for option in ("-4", "-6"):
            assert get(sparkd, "http://localhost:8009/v1/models", option) == "200"
        assert sparkd.status()["listen"] == ["127.0.0.1:8009", "[::1]:8009"]

    check()
    pid = sparkd.pid()
    sparkd.lab.run("sparkctl", "reexec")
    check()
    assert sparkd.pid() == pid
    sparkd.lab.run("systemctl", "restart", SERVICE)
    check()
    sparkd.lab.run("systemctl", "stop", SERVICE)
    check()


def test_the_port_of_ollama_is_served_once_its_socket_is_enabled(sparkd: Installation) -> None:
    """As docs/ollama.md says; the service then starts from a connection to either port."""
    lab, port = sparkd.lab, "http://localhost:11434"
    assert get(sparkd, "http://localhost:8009/") == "200"
    assert lab.run("curl", "--silent", port, check=False).returncode == 7
    lab.run("systemctl", "stop", SERVICE)
    lab.run("systemctl", "enable", "--now", "sparkd-ollama.socket")
    try:
        for option in ("-4", "-6"):
            assert lab.run("curl", "--silent", option, port).stdout == "Ollama is running"
        assert sparkd.status()["listen"][-2:] == ["127.0.0.1:11434", "[::1]:11434"]
        assert get(sparkd, f"{port}/api/tags") == get(sparkd, "http://localhost:8009/api/tags")
        lab.run("sparkctl", "reexec")
        assert lab.run("curl", "--silent", port).stdout == "Ollama is running"
    finally:
        lab.run("systemctl", "disable", "--now", "sparkd-ollama.socket")


def test_a_machine_without_ipv6_addresses_serves_ipv4(sparkd: Installation) -> None:
    sparkd.lab.run("systemctl", "stop", *SOCKETS, SERVICE)
    with ipv6_disabled(sparkd):
        sparkd.lab.run("systemctl", "start", *SOCKETS)
        assert get(sparkd, "http://localhost:8009/v1/models") == "200"
        assert sparkd.chat("a")[0] == 200
        assert sparkd.lab.show(SOCKETS[0], "ActiveState", "Result") == {
            "ActiveState": "active",
            "Result": "success",
        }
    assert get(sparkd, "http://[::1]:8009/v1/models") == "200"


@pytest.mark.parametrize("kind", ["no addresses", "not in the kernel"])
def test_a_daemon_without_systemds_socket_serves_ipv4_on_a_machine_without_ipv6(
    sparkd: Installation, kind: str
) -> None:
    lab = sparkd.lab
    lab.run("systemctl", "stop", *SOCKETS, SERVICE)
    lab.run("mkdir", "-p", "/srv/alone")
    lab.path("/srv/alone/models.toml").write_text('[memory]\ntotal = "10 GiB"\nreserve = 0\n')
    start = ["systemd-run", "--quiet", "--collect", "--unit=alone"]
    if kind == "not in the kernel":
        start.append("--property=RestrictAddressFamilies=AF_UNIX AF_INET AF_NETLINK")
    start += ["/opt/sparkd/current/bin/sparkd", "--catalogue", "/srv/alone/models.toml"]

    def serve_and_stop() -> str:
        lab.run(*start)
        lab.wait_until("it serves", lambda: get(sparkd, "http://localhost:8009/healthz") == "200")
        status = lab.run("sparkctl", "status", "--json", "--socket", "/srv/alone/run/control.sock").stdout
        lab.run("systemctl", "stop", "alone")
        return " ".join(json.loads(status)["listen"])

    if kind == "not in the kernel":
        assert serve_and_stop() == "127.0.0.1:8009"
        return
    with ipv6_disabled(sparkd):
        assert serve_and_stop() == "127.0.0.1:8009"
    assert serve_and_stop() == "127.0.0.1:8009 [::1]:8009"


def make_bridge(sparkd: Installation) -> None:
    """Docker's bridge on this machine, and a container beside it: what `docker run` does to the network."""
    for command in (
        "ip link add docker0 type bridge",
        f"ip address add {BRIDGE}/16 dev docker0",
        "ip link set docker0 up",
        "ip netns add container",
        "ip link add veth0 type veth peer name eth0 netns container",
        "ip link set veth0 master docker0 up",
        f"ip -n container address add {CONTAINER}/16 dev eth0",
        "ip -n container link set eth0 up",
        "ip -n container link set lo up",
    ):
        sparkd.lab.run(*command.split())


def remove_bridge(sparkd: Installation) -> None:
    sparkd.lab.run("ip", "netns", "delete", "container", check=False)
    sparkd.lab.run("ip", "link", "delete", "docker0", check=False)


@pytest.fixture
def docker(sparkd: Installation) -> Iterator[Installation]:
    make_bridge(sparkd)
    yield sparkd
    remove_bridge(sparkd)
    sparkd.lab.run("rm", "-rf", DROP_INS, "/etc/sparkd/models.d/open.toml")
    sparkd.lab.run("systemctl", "daemon-reload")


def from_container(sparkd: Installation, *options: str) -> str:
    name = f"{HOST}:8009:{BRIDGE}"  # as `docker run --add-host host.docker.internal:host-gateway`
    return get(sparkd, f"http://{HOST}:8009/v1/models", "--resolve", name, *options, inside="container")


def find_containers(sparkd: Installation) -> dict[str, str]:
    """What doctor finds about containers."""
    findings = json.loads(sparkd.lab.run("sparkctl", "doctor", "--json", check=False).stdout)
    (found,) = [finding for finding in findings if finding["check"] == "containers"]
    return dict(found)


def test_the_command_of_doctor_lets_containers_connect(docker: Installation) -> None:
    assert from_container(docker) == "curl: 7"  # connection refused
    found = find_containers(docker)
    assert found["level"] == "ok"
    assert f"cannot connect; to let them connect to {BRIDGE}:8009" in found["message"]
    (command,) = re.findall(r"^run `(.*)`$", found["fix"])
    docker.lab.run("sh", "-c", command.replace("sudo ", ""))
    assert from_container(docker) == "200"
    assert "can connect" in find_containers(docker)["message"]
    assert docker.status()["listen"] == ["127.0.0.1:8009", "[::1]:8009", f"{BRIDGE}:8009"]
    wrong = from_container(docker, "--header", "Authorization: Bearer wrong")
    assert wrong == "401"


def test_the_socket_may_be_opened_before_docker_has_its_bridge(docker: Installation) -> None:
    docker.lab.run("mkdir", "-p", DROP_INS)
    docker.lab.path(f"{DROP_INS}/docker.conf").write_text(f"[Socket]\nListenStream={BRIDGE}:8009\n")
    docker.lab.run("systemctl", "daemon-reload")
    remove_bridge(docker)
    docker.reset()
    assert get(docker, "http://localhost:8009/v1/models") == "200"
    make_bridge(docker)
    assert from_container(docker) == "200"


def test_without_keys_a_container_needs_the_name_listed(docker: Installation) -> None:
    lab = docker.lab
    lab.run("mkdir", "-p", DROP_INS)
    lab.path(f"{DROP_INS}/docker.conf").write_text(f"[Socket]\nListenStream={BRIDGE}:8009\n")
    lab.run("systemctl", "daemon-reload")
    start = ["systemd-run", "--quiet", "--collect", "--unit=alone", "/opt/sparkd/current/bin/sparkd"]
    lab.run("systemctl", "stop", *SOCKETS, SERVICE)
    lab.run("mkdir", "-p", "/srv/alone")
    settings = f'[server]\nlisten = ["localhost:8009", "{BRIDGE}:8009"]\n'
    catalogue = lab.path("/srv/alone/models.toml")
    catalogue.write_text(settings + '[memory]\ntotal = "10 GiB"\nreserve = 0\n')
    lab.run(*start, "--catalogue", "/srv/alone/models.toml")
    lab.wait_until("it serves", lambda: get(docker, "http://localhost:8009/healthz") == "200")
    assert from_container(docker) == "403"
    by_address = get(docker, f"http://{BRIDGE}:8009/v1/models", inside="container")
    assert by_address == "200"  # an address cannot be rebound
    lab.run("journalctl", "--sync")
    journal = lab.run("journalctl", "--unit=alone", "--priority=warning", "EVENT=exposed").stdout
    assert f"Other machines can use sparkd at {BRIDGE}:8009 without an API key" in journal
    catalogue.write_text(settings + f'hosts = ["{HOST}"]\n[memory]\ntotal = "10 GiB"\nreserve = 0\n')
    lab.run("sparkctl", "reload", "--socket", "/srv/alone/run/control.sock")
    assert from_container(docker) == "200"
    lab.run("systemctl", "stop", "alone")


def test_a_socket_on_the_lan_needs_no_change_of_the_service(sparkd: Installation) -> None:
    """IPAddressDeny= of the service does not limit the connections of a socket that systemd has opened."""
    lab = sparkd.lab
    for command in (
        "ip netns add lan",
        "ip link add lan type veth peer name lan netns lan",
        "ip address add 192.0.2.1/24 dev lan",
        "ip link set lan up",
        "ip -n lan address add 192.0.2.2/24 dev lan",
        "ip -n lan link set lan up",
    ):
        lab.run(*command.split())
    url = "http://192.0.2.1:8009/v1/models"
    lab.run("mkdir", "-p", DROP_INS)
    drop_in = lab.path(f"{DROP_INS}/lan.conf")
    try:
        assert get(sparkd, url, inside="lan") == "curl: 7"
        drop_in.write_text("[Socket]\nListenStream=\nListenStream=8009\n")
        lab.run("systemctl", "daemon-reload")
        sparkd.reset()
        assert get(sparkd, url, inside="lan") == "200"
        drop_in.write_text(
            "[Socket]\nListenStream=\nListenStream=8009\nIPAddressDeny=any\nIPAddressAllow=localhost 198.51.100.0/24\n"
        )
        lab.run("systemctl", "daemon-reload")
        sparkd.reset()
        assert get(sparkd, url, inside="lan") == "curl: 28"
        assert get(sparkd, "http://localhost:8009/v1/models") == "200"
    finally:
        lab.run("ip", "netns", "delete", "lan")
        lab.run("rm", "-rf", DROP_INS)
        lab.run("systemctl", "daemon-reload")
        sparkd.reset()
