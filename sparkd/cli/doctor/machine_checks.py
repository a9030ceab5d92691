"""`sparkctl doctor`'s checks of the machine: GPU, memory, swap, page cache, systemd. Facts in, findings out."""

from __future__ import annotations

from typing import Final

from sparkd.catalog.quantities import MIB
from sparkd.cli.doctor.facts import Facts, Finding, Findings, UnitState
from sparkd.cli.output.formatting import format_duration, format_size

SWAP_WARNING_SIZE: Final = 256 * MIB
"""Bytes: Linux swaps out a few idle pages on any machine."""

GUARD_WARNING_AGE: Final = 86400.0
"""Seconds: an earlier event is no longer a warning."""

MEMORY_KINDS: Final = {"unified": "CPU and GPU share it", "separate": "the GPU's own", "host": "the host's"}

SERVICE: Final = "sparkd.service"
SOCKETS: Final = ("sparkd.socket", "sparkd-control.socket")
UNITS: Final = (*SOCKETS, SERVICE)
"""The units that install.sh installs."""


def check_gpu(facts: Facts) -> Findings:
    """Whether the NVIDIA driver responds."""
    if facts.gpu is not None:
        yield Finding(check="gpu", level="ok", message=f"NVML responds: {facts.gpu.name}")
        return
    fix = "see `nvidia-smi`" if facts.has_driver else "if there is a GPU, run `sudo ubuntu-drivers install`"
    message = "the NVIDIA driver does not respond" if facts.has_driver else "there is no NVIDIA driver"
    yield Finding(check="gpu", level="warning", message=f"{message}, so models run on the CPU only", fix=fix)


def check_memory(facts: Facts) -> Findings:
    """Kind, total and available memory, compared with the memory guard's floor."""
    memory = facts.memory
    if memory is None:
        yield Finding(
            check="memory",
            level="error",
            message=f"the memory of the machine is unknown: {facts.probe_error}",
            fix="make /proc/meminfo readable",
        )
        return
    message = (
        f"{memory.kind} ({MEMORY_KINDS[memory.kind]}), {format_size(memory.total)} in all, "
        f"{format_size(memory.scarcest)} available, "
        f"floor {format_size(facts.floor)}"
    )
    if memory.scarcest >= 2 * facts.floor:
        yield Finding(check="memory", level="ok", message=message)
        return
    below = memory.scarcest < facts.floor
    yield Finding(
        check="memory",
        level="error" if below else "warning",
        message=f"{message}: {'the memory guard kills models' if below else 'little is left above the floor'}",
        fix="run `sparkctl stop MODEL`, or stop other programs; `ps aux --sort=-rss | head` lists the largest",
    )


def check_guard(facts: Facts) -> Findings:
    """When the memory guard last killed a model; from the daemon."""
    if facts.status is None:
        return
    last = facts.status.memory.last_guard_action
    if last is None:
        yield Finding(check="memory guard", level="ok", message="it has never acted")
        return
    message = f"the memory guard last acted {format_duration(last.seconds_ago)} ago on {last.model}"
    if last.seconds_ago > GUARD_WARNING_AGE:
        yield Finding(check="memory guard", level="ok", message=message)
        return
    yield Finding(
        check="memory guard",
        level="warning",
        message=message,
        fix=f"see `sparkctl status {last.model}`; lower the model's memory, or raise `memory.reserve`",
    )


def check_leaks(facts: Facts) -> Findings:
    """Memory that was not freed after a process ended; from the daemon."""
    if facts.status is None:
        return
    if leaked := facts.status.memory.leaked:
        yield Finding(
            check="leaked memory",
            level="warning",
            message=f"{format_size(leaked)} ({leaked} bytes) were not freed after a model ended, "
            "so no model can use them",
            fix="a reboot frees them: `sudo reboot`",
        )
    else:
        yield Finding(check="leaked memory", level="ok", message="none")


def check_swap(facts: Facts) -> Findings:
    """Swap in use: sparkd never counts it as memory, and a GPU stalls on swapped memory."""
    if facts.swap_used < SWAP_WARNING_SIZE:
        used = f"{facts.swap_used // MIB} MiB in use" if facts.swap_used else "none in use"
        yield Finding(check="swap", level="ok", message=used)
        return
    yield Finding(
        check="swap",
        level="warning",
        message=f"{format_size(facts.swap_used)} in use: engines become slow, "
        "and with unified memory the machine may freeze",
        fix="stop the models, run `sudo swapoff -a`, and raise `memory.reserve`",
    )


def check_page_cache(facts: Facts) -> Findings:
    """Page cache, which CUDA counts as used if CPU and GPU share one memory: little free, much available."""
    memory = facts.memory
    if memory is None or memory.kind != "unified":
        return
    cached = max(0, memory.host_available - memory.free)
    message = f"{format_size(memory.free)} free, {format_size(cached)} more in the page cache"
    if memory.free >= 2 * facts.floor or cached < memory.host_total // 4:
        yield Finding(check="page cache", level="ok", message=message)
        return
    yield Finding(
        check="page cache",
        level="warning",
        message=f"{message}, which CUDA counts as used",
        fix="run `echo 3 | sudo tee /proc/sys/vm/drop_caches` (before a load, sparkd releases only weight files)",
    )


def check_delegation(facts: Facts) -> Findings:
    """Whether each engine can have its own cgroup."""
    if (cgroup := facts.delegation) is None:
        return
    if not cgroup.delegated:
        yield Finding(
            check="cgroup",
            level="warning",
            message=f"the cgroup of {cgroup.unit} is not delegated, so engines have no cgroups of their own",
            fix=f"run `sudo systemctl edit {cgroup.unit}`, add `Delegate=yes` under [Service], then restart it",
        )
    elif cgroup.missing_controllers:
        yield Finding(
            check="cgroup",
            level="warning",
            message=f"{cgroup.unit} has its cgroup delegated without {', '.join(cgroup.missing_controllers)}: "
            "engines are not weighed or measured by it",
            fix=f"see `journalctl -u {cgroup.unit} EVENT=cgroups`; a kernel with only cgroup v2 has all controllers",
        )
    else:
        yield Finding(
            check="cgroup", level="ok", message=f"{cgroup.unit} has its cgroup delegated, one for each engine"
        )


def check_systemd(facts: Facts) -> Findings:
    """Whether sparkd is installed under systemd, starts after a boot, and has not failed."""
    if facts.units is None:
        return
    installed = {name: unit for name, unit in facts.units.items() if unit.enabled not in ("", "not-found")}
    if not installed:
        yield Finding(
            check="systemd",
            level="warning",
            message="sparkd is not installed, so it does not start after a boot",
            fix="run `sudo ./install.sh` in a copy of the repository",
        )
    elif missing := [name for name in UNITS if name not in installed]:
        yield Finding(
            check="systemd",
            level="error",
            message=f"the installation is incomplete: there is no {' nor '.join(missing)}",
            fix="run `sudo ./install.sh` in a copy of the repository",
        )
    else:
        yield from _check_units(installed)


def _check_units(installed: dict[str, UnitState]) -> Findings:
    failed = [name for name, unit in installed.items() if unit.active == "failed"]
    disabled = [name for name in SOCKETS if installed[name].enabled != "enabled"]
    inactive = [name for name in SOCKETS if installed[name].active != "active"]
    for name in failed:
        yield Finding(
            check="systemd",
            level="error",
            message=f"{name} has failed",
            fix=f"see `journalctl -e -u {name}`",
        )
    if disabled:
        yield Finding(
            check="systemd",
            level="warning",
            message=f"sparkd does not start after a boot: {', '.join(disabled)} not enabled",
            fix=f"run `sudo systemctl enable --now {' '.join(disabled)}`",
        )
    elif inactive and not failed:
        yield Finding(
            check="systemd",
            level="warning",
            message=f"clients cannot start sparkd: {', '.join(inactive)} not active",
            fix=f"run `sudo systemctl start {' '.join(inactive)}`",
        )
    elif not failed:
        yield Finding(
            check="systemd",
            level="ok",
            message=f"installed and enabled; {SERVICE} is {installed[SERVICE].active}",
        )
