"""`sparkctl doctor`'s checks of the catalogue, the daemon and what they need. Facts in, findings out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sparkd.catalog.quantities import GIB
from sparkd.cli.doctor import access_checks, machine_checks
from sparkd.cli.doctor.facts import Facts, Finding, Findings
from sparkd.cli.doctor.readiness import assess_readiness
from sparkd.cli.output.formatting import format_count, format_duration, format_size
from sparkd.cli.output.status_table import describe_rejected
from sparkd.scheduling.status import Status

MIN_FREE_DISK: Final = 20 * GIB
"""Bytes: one model of medium size, or one build of a runtime for CUDA."""


def check_catalogue(facts: Facts) -> Findings:
    """Whether the daemon would accept the catalogue."""
    if facts.problems:
        first, further = facts.problems[0].rstrip("."), len(facts.problems) - 1
        rest = f", and {further} more" if further else ""
        message = f"{format_count(len(facts.problems), 'problem')} in {facts.path}: {first}{rest}"
        if facts.path is None:
            fix = "run `sudo ./install.sh` in a copy of the repository"
            yield Finding(check="catalogue", level="error", message=first, fix=fix)
        else:
            yield Finding(
                check="catalogue", level="error", message=message, fix="run `sparkctl check` for details"
            )
        return
    counts = format_count(facts.catalogue.enabled, "model") if facts.catalogue else "no model"
    disabled = (
        f" ({facts.catalogue.disabled} more disabled)" if facts.catalogue and facts.catalogue.disabled else ""
    )
    yield Finding(check="catalogue", level="ok", message=f"{facts.path} is valid: {counts}{disabled}")


def check_daemon(facts: Facts) -> Findings:
    """Whether sparkd runs and responds to this user."""
    if facts.status is not None:
        yield _check_version(facts, facts.status)
        return
    if facts.daemon == "absent":
        yield Finding(
            check="daemon",
            level="warning",
            message="sparkd is not running",
            fix=f"run {_start_command(facts)}",
        )
    elif facts.daemon == "forbidden":
        yield Finding(
            check="daemon", level="warning", message=facts.daemon_error, fix="run `sudo sparkctl doctor`"
        )
    elif facts.daemon == "unknown":
        yield Finding(
            check="daemon",
            level="warning",
            message="the catalogue has the address of the control socket, and has errors",
            fix="fix the catalogue first",
        )
    else:
        fix = f"stop the program that listens there, then run {_start_command(facts)}"
        if _is_installed(facts):
            fix = "see `journalctl -e -u sparkd`, then run `sudo systemctl restart sparkd`"
        yield Finding(check="daemon", level="error", message=facts.daemon_error, fix=fix)


def _check_version(facts: Facts, status: Status) -> Finding:
    message = f"sparkd {status.version} (PID {status.pid}) answers, up {format_duration(status.uptime)}"
    if status.version == facts.version:
        return Finding(check="daemon", level="ok", message=message)
    fix = f"run `{'sudo ' if facts.delegation else ''}sparkctl reexec` to replace it; models stay loaded"
    message = f"{message}; this sparkctl has version {facts.version}"
    return Finding(check="daemon", level="warning", message=message, fix=fix)


def _start_command(facts: Facts) -> str:
    if _is_installed(facts):
        return "`sudo systemctl start sparkd`"
    return f"`sparkd --catalogue {facts.path}`" if facts.path else "`sparkd`"


def _is_installed(facts: Facts) -> bool:
    unit = (facts.units or {}).get(machine_checks.SERVICE)
    return unit is not None and unit.enabled not in ("", "not-found")


def check_quarantine(facts: Facts) -> Findings:
    """Models that start again only after `sparkctl retry`."""
    if facts.status is None:
        return
    quarantined = [model for model in facts.status.models if model.quarantined and model.enabled]
    for model in quarantined:
        why = f": {model.cause.splitlines()[0]}" if model.cause else ""
        yield Finding(
            check="quarantine",
            level="error",
            message=f"{model.id} is quarantined{why}",
            fix=f"see `sparkctl logs {model.id}`, then run `sparkctl retry {model.id}`",
        )
    if not quarantined:
        yield Finding(check="quarantine", level="ok", message="no model is quarantined")


def check_rejected_requests(facts: Facts) -> Findings:
    """Requests that are rejected because they made an engine fail."""
    for model in facts.status.models if facts.status else ():
        for request in model.rejected_requests:
            yield Finding(
                check="rejected requests",
                level="warning",
                message=f"{model.id}: {describe_rejected(request)}",
                fix=f"see `journalctl -u sparkd REQUEST_ID={request.request_id}`; `sparkctl retry {model.id}` has them "
                "accepted",
            )


def check_launchers(facts: Facts) -> Findings:
    """Runtimes whose engines start cold because warm starts have failed."""
    if facts.status is None:
        return
    for launcher in facts.status.launchers:
        if launcher.state == "off":
            yield Finding(
                check="launchers",
                level="warning",
                message=f"engines of runtime {launcher.runtime} start cold, because {launcher.reason}",
                fix=f"see the newest launcher-{launcher.runtime}-*.log in paths.state, folder logs; "
                "`sparkctl retry MODEL` with one of its models tries again",
            )
    ready = [launcher.runtime for launcher in facts.status.launchers if launcher.state == "ready"]
    if ready:
        message = f"engines of {', '.join(ready)} start warm"
        yield Finding(check="launchers", level="ok", message=message)


def check_disk(facts: Facts) -> Findings:
    """Free space for models and runtimes."""
    for space in facts.catalogue.disks if facts.catalogue else ():
        message = f"{format_size(space.free)} free for {space.key} ({space.folder})"
        if space.free >= MIN_FREE_DISK:
            yield Finding(check="disk", level="ok", message=message)
            continue
        fix = (
            f"free some space, or set `{space.key}` to a folder on a larger disk; see `df -h {space.folder}`"
        )
        yield Finding(check="disk", level="warning", message=message, fix=fix)


def check_readiness(facts: Facts) -> Findings:
    """Built runtimes, models on disk, and what to do first on a new installation."""
    if facts.catalogue is not None:
        yield from assess_readiness(facts.catalogue.readiness)


CHECKS: Final[tuple[Callable[[Facts], Findings], ...]] = (
    check_catalogue,
    check_daemon,
    machine_checks.check_systemd,
    machine_checks.check_delegation,
    access_checks.check_port,
    access_checks.check_api_keys,
    access_checks.check_containers,
    machine_checks.check_gpu,
    machine_checks.check_memory,
    machine_checks.check_guard,
    machine_checks.check_leaks,
    machine_checks.check_swap,
    machine_checks.check_page_cache,
    check_disk,
    check_readiness,
    check_launchers,
    check_quarantine,
    check_rejected_requests,
)
"""All checks, in the order of the output. A check without facts finds nothing."""


def run_checks(facts: Facts) -> list[Finding]:
    """The findings of all checks."""
    return [finding for check in CHECKS for finding in check(facts)]
