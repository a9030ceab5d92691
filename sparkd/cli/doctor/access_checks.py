"""`sparkctl doctor`'s checks of the clients that can connect to sparkd. Facts in, findings out."""

from __future__ import annotations

from typing import Final

from sparkd.catalog.addresses import WILDCARDS, exposed_addresses
from sparkd.catalog.hosts import HostList, normalize_address, parse_authority
from sparkd.cli.doctor import machine_checks
from sparkd.cli.doctor.facts import Facts, Finding, Findings, PortState

HOST_IN_CONTAINERS: Final = "host.docker.internal"
"""The name that containers have for this machine, with Docker's `--add-host host.docker.internal:host-gateway`."""

DROP_IN: Final = "/etc/systemd/system/sparkd.socket.d"


def check_port(facts: Facts) -> Findings:
    """The port for clients: open, or free."""
    ports = facts.catalogue.ports if facts.catalogue else ()
    socket_unit = (facts.units or {}).get(machine_checks.SOCKETS[0])
    if facts.status is not None:
        addresses = ", ".join(facts.status.listen)
        if addresses:
            yield Finding(check="port", level="ok", message=f"sparkd listens on {addresses}")
        else:
            yield Finding(
                check="port",
                level="warning",
                message="sparkd listens on no port",
                fix="wait, or restart sparkd",
            )
    elif socket_unit is not None and socket_unit.active == "active":
        yield Finding(check="port", level="ok", message="systemd holds it for sparkd (sparkd.socket)")
    elif facts.daemon == "absent":
        yield from _check_free(ports)


def _check_free(ports: tuple[PortState, ...]) -> Findings:
    for state in ports:
        if state.taken:
            port_number = state.listen.rpartition(":")[2]
            holder = (
                state.holder or f"another program (find it with `sudo ss -ltnp 'sport = :{port_number}'`)"
            )
            yield Finding(
                check="port",
                level="error",
                message=f"{state.listen} is in use by {holder}",
                fix="stop that program, or set another port in `server.listen`",
            )
        elif state.problem:
            message = f"{state.listen} cannot be opened: {state.problem}"
            yield Finding(
                check="port", level="error", message=message, fix="set another address in `server.listen`"
            )
    if ports and not any(state.problem for state in ports):
        free = " and ".join(state.listen for state in ports)
        yield Finding(check="port", level="ok", message=f"{free} {'is' if len(ports) == 1 else 'are'} free")


def check_api_keys(facts: Facts) -> Findings:
    """Whether clients without a key can connect, or other users can read the keys."""
    if facts.catalogue is None:
        return
    key_file, exposed = facts.catalogue.key_file, exposed_addresses(facts.listen)
    if key_file is None and exposed:
        yield Finding(
            check="api keys",
            level="error",
            message=f"there are no API keys, and {', '.join(exposed)} is open to the network",
            fix="set `server.api_key_file` to a file with keys, or listen on localhost; then restart sparkd",
        )
    elif key_file is None:
        yield Finding(check="api keys", level="ok", message="none; only this machine can connect")
    elif key_file.problem is not None:
        fix = f"add a line `name: key` to {key_file.path}"
        yield Finding(check="api keys", level="error", message=key_file.problem, fix=fix)
    elif key_file.mode is not None and key_file.mode & 0o004:
        yield Finding(
            check="api keys",
            level="error",
            message=f"every user of this machine can read {key_file.path} (mode {key_file.mode & 0o7777:04o})",
            fix=f"run `sudo chmod o-rwx {key_file.path}`",
        )
    else:
        message = f"in {key_file.path}" + ("" if key_file.mode is None else ", not readable by other users")
        yield Finding(check="api keys", level="ok", message=message)
    for message in key_file.unmatched if key_file is not None else ():
        fix = "edit the catalogue or the file with the keys, then run `sparkctl reload`"
        yield Finding(check="api keys", level="warning", message=message, fix=fix)


def check_containers(facts: Facts) -> Findings:
    """Whether programs in Docker containers can connect. Not a problem if they cannot: nobody may want to."""
    for bridge in facts.bridges if facts.listen else ():
        port = facts.listen[0].rpartition(":")[2]
        open_ports = [port for host, port in map(_split, facts.listen) if host in (bridge, *WILDCARDS)]
        if not open_ports:
            yield Finding(
                check="containers",
                level="ok",
                message=f"containers of Docker cannot connect; to let them connect to {bridge}:{port}",
                fix=_listen_command(facts, f"{bridge}:{port}"),
            )
        elif facts.catalogue is None:
            return
        elif facts.catalogue.key_file is None and HOST_IN_CONTAINERS not in HostList(facts.catalogue.hosts):
            yield Finding(
                check="containers",
                level="warning",
                message=f"containers can connect to {bridge}:{open_ports[0]}, but without API keys not by the name "
                f"{HOST_IN_CONTAINERS}",
                fix=f'set `server.hosts = ["{HOST_IN_CONTAINERS}"]`, then run `sparkctl reload`',
            )
        else:
            url = f"http://{HOST_IN_CONTAINERS}:{open_ports[0]}/v1"
            yield Finding(
                check="containers",
                level="ok",
                message=f"containers of Docker can connect to {bridge}:{open_ports[0]}; with `docker run --add-host "
                f"{HOST_IN_CONTAINERS}:host-gateway` the URL is {url}",
            )


def _split(address: str) -> tuple[str, str]:
    authority = parse_authority(address)
    return (normalize_address(authority[0]), authority[1]) if authority else ("", "")


def _listen_command(facts: Facts, address: str) -> str:
    """How to listen on one more address: with systemd, in the unit that holds the socket."""
    if not facts.unit_listen:
        listen = ", ".join(f'"{each}"' for each in (*facts.listen, address))
        return f"set `server.listen = [{listen}]`, then restart sparkd"
    return (
        f"run `sudo mkdir -p {DROP_IN} && printf '[Socket]\\nListenStream={address}\\n' | "
        f"sudo tee {DROP_IN}/docker.conf && sudo systemctl daemon-reload && "
        "sudo systemctl restart sparkd.socket sparkd`"
    )
