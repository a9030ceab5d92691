"""What `sparkctl doctor` makes of the catalogue, the daemon and what they need. Facts in, findings out."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from sparkd.catalog.quantities import GIB
from sparkd.cli.doctor import machine_checks
from sparkd.cli.doctor.facts import Facts, Finding, Findings
from sparkd.cli.doctor.readiness import assess_readiness
from sparkd.cli.output.formatting import format_count, format_duration, format_size
from sparkd.scheduling.status import Status

MIN_FREE_DISK: Final = 20 * GIB
"""Bytes: one model of middling size, or one build of a runtime for CUDA."""


def check_catalogue(facts: Facts) -> Findings:
    """Whether the daemon would take the catalogue."""
    if facts.problems:
        first, further = facts.problems[0].rstrip("."), len(facts.problems) - 1
        rest = f", and {further} more" if further else ""
        found = f"{format_count(len(facts.problems), 'problem')} in {facts.path}: {first}{rest}"
        if facts.path is None:
            mend = "`sudo ./install.sh` in a copy of the repository makes one"
            yield Finding(check="catalogue", level="wrong", found=first, mend=mend)
        else:
            yield Finding(check="catalogue", level="wrong", found=found, mend="`sparkctl check` names each")
        return
    counts = format_count(facts.catalogue.enabled, "model") if facts.catalogue else "no model"
    disabled = (
        f" ({facts.catalogue.disabled} more disabled)" if facts.catalogue and facts.catalogue.disabled else ""
    )
    yield Finding(check="catalogue", level="ok", found=f"{facts.path} is right: {counts}{disabled}")


def check_daemon(facts: Facts) -> Findings:
    """Whether sparkd runs and answers this user."""
    if facts.status is not None:
        yield _check_version(facts, facts.status)
        return
    if facts.daemon == "absent":
        yield Finding(
            check="daemon", level="warning", found="sparkd is not running", mend=_start_command(facts)
        )
    elif facts.daemon == "forbidden":
        yield Finding(
            check="daemon", level="warning", found=facts.daemon_error, mend="`sudo sparkctl doctor`"
        )
    elif facts.daemon == "unknown":
        yield Finding(
            check="daemon",
            level="warning",
            found="where sparkd listens is in the catalogue",
            mend="mend that first",
        )
    else:
        mend = f"end what listens there, then {_start_command(facts)}"
        if _is_installed(facts):
            mend = "`journalctl -e -u sparkd` tells why, `sudo systemctl restart sparkd` starts it anew"
        yield Finding(check="daemon", level="wrong", found=facts.daemon_error, mend=mend)


def _check_version(facts: Facts, status: Status) -> Finding:
    found = f"sparkd {status.version} (PID {status.pid}) answers, up {format_duration(status.uptime)}"
    if status.version == facts.version:
        return Finding(check="daemon", level="ok", found=found)
    fix = f"`{'sudo ' if facts.delegation else ''}sparkctl reexec` puts what is installed in its place; models stay"
    found = f"{found}; this sparkctl is of {facts.version}"
    return Finding(check="daemon", level="warning", found=found, mend=fix)


def _start_command(facts: Facts) -> str:
    if _is_installed(facts):
        return "`sudo systemctl start sparkd`"
    return f"`sparkd --catalogue {facts.path}`" if facts.path else "`sparkd`"


def _is_installed(facts: Facts) -> bool:
    unit = (facts.units or {}).get(machine_checks.SERVICE)
    return unit is not None and unit.enabled not in ("", "not-found")


def check_quarantine(facts: Facts) -> Findings:
    """Models that only an operator's word brings back."""
    if facts.status is None:
        return
    quarantined = [model for model in facts.status.models if model.quarantined and model.enabled]
    for model in quarantined:
        why = f": {model.cause.splitlines()[0]}" if model.cause else ""
        yield Finding(
            check="quarantine",
            level="wrong",
            found=f"{model.id} is not started any more{why}",
            mend=f"`sparkctl logs {model.id}`, then `sparkctl retry {model.id}`",
        )
    if not quarantined:
        yield Finding(check="quarantine", level="ok", found="no model is in it")


def check_port(facts: Facts) -> Findings:
    """The door for clients: open, or free to be opened."""
    port_state = facts.catalogue.port if facts.catalogue else None
    socket_unit = (facts.units or {}).get(machine_checks.SOCKETS[0])
    if facts.status is not None:
        addresses = ", ".join(facts.status.listen)
        if addresses:
            yield Finding(check="port", level="ok", found=f"sparkd listens on {addresses}")
        else:
            yield Finding(
                check="port", level="warning", found="sparkd has no door open", mend="wait, or restart it"
            )
    elif socket_unit is not None and socket_unit.active == "active":
        yield Finding(check="port", level="ok", found="systemd holds it for sparkd (sparkd.socket)")
    elif port_state is None or facts.daemon != "absent":
        return
    elif port_state.taken:
        port_number = port_state.listen.rpartition(":")[2]
        holder = port_state.holder or f"another program (`sudo ss -ltnp 'sport = :{port_number}'` names it)"
        yield Finding(
            check="port",
            level="wrong",
            found=f"{port_state.listen} is taken by {holder}",
            mend="end that, or choose another port in `server.listen`",
        )
    elif port_state.problem:
        found = f"{port_state.listen} cannot be opened: {port_state.problem}"
        yield Finding(check="port", level="wrong", found=found, mend="choose another in `server.listen`")
    else:
        yield Finding(check="port", level="ok", found=f"{port_state.listen} is free")


def check_api_keys(facts: Facts) -> Findings:
    """Whether strangers can ask, or read what they would need to."""
    if facts.catalogue is None:
        return
    addresses = facts.status.listen if facts.status else ()
    if not addresses and facts.catalogue.port:
        addresses = (facts.catalogue.port.listen,)
    key_file, exposed = facts.catalogue.key_file, [address for address in addresses if not is_local(address)]
    if key_file is None and exposed:
        yield Finding(
            check="api keys",
            level="wrong",
            found=f"none, and {', '.join(exposed)} is open beyond this machine: anyone may ask",
            mend="name a file with keys in `server.api_key_file`, or listen on 127.0.0.1; then restart sparkd",
        )
    elif key_file is None:
        yield Finding(check="api keys", level="ok", found="none; only this machine can connect")
    elif key_file.problem is not None:
        mend = f"write a line `name: key` into {key_file.path}"
        yield Finding(check="api keys", level="wrong", found=key_file.problem, mend=mend)
    elif key_file.mode is not None and key_file.mode & 0o004:
        yield Finding(
            check="api keys",
            level="wrong",
            found=f"every user of this machine can read {key_file.path} (mode {key_file.mode & 0o7777:04o})",
            mend=f"`sudo chmod o-rwx {key_file.path}`",
        )
    else:
        found = f"in {key_file.path}" + ("" if key_file.mode is None else ", which others cannot read")
        yield Finding(check="api keys", level="ok", found=found)


def is_local(address: str) -> bool:
    """Whether only this machine reaches a door: `host:port` of a loopback address, or the path of a Unix socket."""
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost" or address.startswith("/"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_disk(facts: Facts) -> Findings:
    """Space where models and runtimes go."""
    for space in facts.catalogue.disks if facts.catalogue else ():
        found = f"{format_size(space.free)} free for {space.key} ({space.folder})"
        if space.free >= MIN_FREE_DISK:
            yield Finding(check="disk", level="ok", found=found)
            continue
        mend = f"free some, or set `{space.key}` to a folder on a larger disk; `df -h {space.folder}` tells"
        yield Finding(check="disk", level="warning", found=found, mend=mend)


def check_readiness(facts: Facts) -> Findings:
    """Runtimes that are built, models that are on disk, and what somebody who begins does first."""
    if facts.catalogue is not None:
        yield from assess_readiness(facts.catalogue.readiness)


CHECKS: Final[tuple[Callable[[Facts], Findings], ...]] = (
    check_catalogue,
    check_daemon,
    machine_checks.check_systemd,
    machine_checks.check_delegation,
    check_port,
    check_api_keys,
    machine_checks.check_gpu,
    machine_checks.check_memory,
    machine_checks.check_guard,
    machine_checks.check_leaks,
    machine_checks.check_swap,
    machine_checks.check_page_cache,
    check_disk,
    check_readiness,
    check_quarantine,
)
"""Everything that is looked at, in the order it is told. A check that has nothing to look at finds nothing."""


def run_checks(facts: Facts) -> list[Finding]:
    """All that the checks find."""
    return [finding for check in CHECKS for finding in check(facts)]
