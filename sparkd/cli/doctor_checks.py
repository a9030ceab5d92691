"""What `sparkctl doctor` makes of the catalogue, the daemon and what they need. Facts in, findings out."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from sparkd.catalog.quantities import GIB
from sparkd.cli import doctor_machine
from sparkd.cli.doctor_facts import Facts, Finding, Findings
from sparkd.cli.readiness import judged
from sparkd.cli.wording import duration, number, size
from sparkd.scheduling.status import Status

DISK_WORTH_TELLING: Final = 20 * GIB
"""Bytes: one model of middling size, or one build of a runtime for CUDA."""


def catalogue(facts: Facts) -> Findings:
    """Whether the daemon would take the catalogue."""
    if facts.problems:
        first, more = facts.problems[0].rstrip("."), len(facts.problems) - 1
        rest = f", and {more} more" if more else ""
        found = f"{number(len(facts.problems), 'problem')} in {facts.path}: {first}{rest}"
        if facts.path is None:
            mend = "`sudo ./install.sh` in a copy of the repository makes one"
            yield Finding(check="catalogue", level="wrong", found=first, mend=mend)
        else:
            yield Finding(check="catalogue", level="wrong", found=found, mend="`sparkctl check` names each")
        return
    counts = number(facts.installed.enabled, "model") if facts.installed else "no model"
    disabled = (
        f" ({facts.installed.disabled} more disabled)" if facts.installed and facts.installed.disabled else ""
    )
    yield Finding(check="catalogue", level="ok", found=f"{facts.path} is right: {counts}{disabled}")


def daemon(facts: Facts) -> Findings:
    """Whether sparkd runs and answers this user."""
    if facts.status is not None:
        yield _running(facts, facts.status)
        return
    if facts.daemon == "absent":
        yield Finding(check="daemon", level="warning", found="sparkd is not running", mend=_start(facts))
    elif facts.daemon == "forbidden":
        yield Finding(check="daemon", level="warning", found=facts.daemon_says, mend="`sudo sparkctl doctor`")
    elif facts.daemon == "unknown":
        yield Finding(
            check="daemon",
            level="warning",
            found="where sparkd listens is in the catalogue",
            mend="mend that first",
        )
    else:
        mend = f"end what listens there, then {_start(facts)}"
        if _is_installed(facts):
            mend = "`journalctl -e -u sparkd` tells why, `sudo systemctl restart sparkd` starts it anew"
        yield Finding(check="daemon", level="wrong", found=facts.daemon_says, mend=mend)


def _running(facts: Facts, status: Status) -> Finding:
    found = f"sparkd {status.version} (PID {status.pid}) answers, up {duration(status.uptime)}"
    if status.version == facts.version:
        return Finding(check="daemon", level="ok", found=found)
    again = f"`{'sudo ' if facts.delegation else ''}sparkctl reexec` puts what is installed in its place; models stay"
    found = f"{found}; this sparkctl is of {facts.version}"
    return Finding(check="daemon", level="warning", found=found, mend=again)


def _start(facts: Facts) -> str:
    if _is_installed(facts):
        return "`sudo systemctl start sparkd`"
    return f"`sparkd --catalogue {facts.path}`" if facts.path else "`sparkd`"


def _is_installed(facts: Facts) -> bool:
    unit = (facts.units or {}).get(doctor_machine.SERVICE)
    return unit is not None and unit.enabled not in ("", "not-found")


def quarantine(facts: Facts) -> Findings:
    """Models that only an operator's word brings back."""
    if facts.status is None:
        return
    held = [model for model in facts.status.models if model.quarantined and model.enabled]
    for model in held:
        why = f": {model.cause.splitlines()[0]}" if model.cause else ""
        yield Finding(
            check="quarantine",
            level="wrong",
            found=f"{model.id} is not started any more{why}",
            mend=f"`sparkctl logs {model.id}`, then `sparkctl retry {model.id}`",
        )
    if not held:
        yield Finding(check="quarantine", level="ok", found="no model is in it")


def port(facts: Facts) -> Findings:
    """The door for clients: open, or free to be opened."""
    tried = facts.installed.port if facts.installed else None
    socket = (facts.units or {}).get(doctor_machine.SOCKETS[0])
    if facts.status is not None:
        doors = ", ".join(facts.status.listen)
        if doors:
            yield Finding(check="port", level="ok", found=f"sparkd listens on {doors}")
        else:
            yield Finding(
                check="port", level="warning", found="sparkd has no door open", mend="wait, or restart it"
            )
    elif socket is not None and socket.active == "active":
        yield Finding(check="port", level="ok", found="systemd holds it for sparkd (sparkd.socket)")
    elif tried is None or facts.daemon != "absent":
        return
    elif tried.taken:
        number_ = tried.listen.rpartition(":")[2]
        holder = tried.holder or f"another program (`sudo ss -ltnp 'sport = :{number_}'` names it)"
        yield Finding(
            check="port",
            level="wrong",
            found=f"{tried.listen} is taken by {holder}",
            mend="end that, or choose another port in `server.listen`",
        )
    elif tried.problem:
        found = f"{tried.listen} cannot be opened: {tried.problem}"
        yield Finding(check="port", level="wrong", found=found, mend="choose another in `server.listen`")
    else:
        yield Finding(check="port", level="ok", found=f"{tried.listen} is free")


def api_keys(facts: Facts) -> Findings:
    """Whether strangers can ask, or read what they would need to."""
    if facts.installed is None:
        return
    doors = facts.status.listen if facts.status else ()
    if not doors and facts.installed.port:
        doors = (facts.installed.port.listen,)
    keys, beyond = facts.installed.key_file, [door for door in doors if not is_local(door)]
    if keys is None and beyond:
        yield Finding(
            check="api keys",
            level="wrong",
            found=f"none, and {', '.join(beyond)} is open beyond this machine: anyone may ask",
            mend="name a file with keys in `server.api_key_file`, or listen on 127.0.0.1; then restart sparkd",
        )
    elif keys is None:
        yield Finding(check="api keys", level="ok", found="none; only this machine can connect")
    elif keys.problem is not None:
        mend = f"write a line `name: key` into {keys.path}"
        yield Finding(check="api keys", level="wrong", found=keys.problem, mend=mend)
    elif keys.mode is not None and keys.mode & 0o004:
        yield Finding(
            check="api keys",
            level="wrong",
            found=f"every user of this machine can read {keys.path} (mode {keys.mode & 0o7777:04o})",
            mend=f"`sudo chmod o-rwx {keys.path}`",
        )
    else:
        found = f"in {keys.path}" + ("" if keys.mode is None else ", which others cannot read")
        yield Finding(check="api keys", level="ok", found=found)


def is_local(door: str) -> bool:
    """Whether only this machine reaches a door: `host:port` of a loopback address, or the path of a Unix socket."""
    host = door.rpartition(":")[0].strip("[]")
    if host == "localhost" or door.startswith("/"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def disk(facts: Facts) -> Findings:
    """Space where models and runtimes go."""
    for space in facts.installed.disks if facts.installed else ():
        found = f"{size(space.free)} free for {space.key} ({space.folder})"
        if space.free >= DISK_WORTH_TELLING:
            yield Finding(check="disk", level="ok", found=found)
            continue
        mend = f"free some, or set `{space.key}` to a folder on a larger disk; `df -h {space.folder}` tells"
        yield Finding(check="disk", level="warning", found=found, mend=mend)


def readiness(facts: Facts) -> Findings:
    """Runtimes that are built, models that are on disk, and what somebody who begins does first."""
    if facts.installed is not None:
        yield from judged(facts.installed.readiness)


CHECKS: Final[tuple[Callable[[Facts], Findings], ...]] = (
    catalogue,
    daemon,
    doctor_machine.systemd,
    doctor_machine.delegation,
    port,
    api_keys,
    doctor_machine.gpu,
    doctor_machine.memory,
    doctor_machine.guard,
    doctor_machine.leaks,
    doctor_machine.swap,
    doctor_machine.page_cache,
    disk,
    readiness,
    quarantine,
)
"""Everything that is looked at, in the order it is told. A check that has nothing to look at finds nothing."""


def examine(facts: Facts) -> list[Finding]:
    """All that the checks find."""
    return [finding for check in CHECKS for finding in check(facts)]
