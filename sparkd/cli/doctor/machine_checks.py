"""What `sparkctl doctor` makes of the machine: GPU, memory, swap, page cache, systemd. Facts in, findings out."""

from __future__ import annotations

from typing import Final

from sparkd.catalog.quantities import MIB
from sparkd.cli.doctor.facts import Facts, Finding, Findings, UnitState
from sparkd.cli.output.formatting import format_duration, format_size

SWAP_WARNING_SIZE: Final = 256 * MIB
"""Bytes: Linux moves a few idle pages out on any machine."""

GUARD_WARNING_AGE: Final = 86400.0
"""Seconds: what happened earlier has been seen, or has not come again."""

MEMORY_KINDS: Final = {"unified": "CPU and GPU share it", "separate": "the GPU's own", "host": "the host's"}

SERVICE: Final = "sparkd.service"
SOCKETS: Final = ("sparkd.socket", "sparkd-control.socket")
UNITS: Final = (*SOCKETS, SERVICE)
"""What install.sh puts in place and systemd is asked about."""


def check_gpu(facts: Facts) -> Findings:
    """Whether NVIDIA's driver answers."""
    if facts.gpu is not None:
        yield Finding(check="gpu", level="ok", found=f"NVML answers: {facts.gpu.name}")
        return
    mend = (
        "`nvidia-smi` tells why"
        if facts.has_driver
        else "`sudo ubuntu-drivers install`, where there is a GPU"
    )
    found = "NVIDIA's driver does not answer" if facts.has_driver else "there is no NVIDIA driver"
    yield Finding(check="gpu", level="warning", found=f"{found}: models run on the CPU only", mend=mend)


def check_memory(facts: Facts) -> Findings:
    """Kind, total, and what is available against the floor that the memory guard defends."""
    memory = facts.memory
    if memory is None:
        yield Finding(
            check="memory",
            level="wrong",
            found=f"the machine does not say how much memory it has: {facts.probe_error}",
            mend="sparkd needs a readable /proc/meminfo",
        )
        return
    found = (
        f"{memory.kind} ({MEMORY_KINDS[memory.kind]}), {format_size(memory.total)} in all, "
        f"{format_size(memory.scarcest)} available, "
        f"floor {format_size(facts.floor)}"
    )
    if memory.scarcest >= 2 * facts.floor:
        yield Finding(check="memory", level="ok", found=found)
        return
    below = memory.scarcest < facts.floor
    yield Finding(
        check="memory",
        level="wrong" if below else "warning",
        found=f"{found}: {'the memory guard ends models' if below else 'little is left above the floor'}",
        mend="`sparkctl stop MODEL`, or end other programs; `ps aux --sort=-rss | head` names the largest",
    )


def check_guard(facts: Facts) -> Findings:
    """When the memory guard last ended a model; only the daemon knows."""
    if facts.status is None:
        return
    last = facts.status.memory.guard_acted
    if last is None:
        yield Finding(check="memory guard", level="ok", found="it has never had to act")
        return
    found = f"the memory guard last acted {format_duration(last.ago)} ago on {last.model}"
    if last.ago > GUARD_WARNING_AGE:
        yield Finding(check="memory guard", level="ok", found=found)
        return
    yield Finding(
        check="memory guard",
        level="warning",
        found=found,
        mend=f"`sparkctl status {last.model}` tells what it takes; give it less, or raise `memory.reserve`",
    )


def check_leaks(facts: Facts) -> Findings:
    """Memory that never came back after a process had ended; only the daemon knows."""
    if facts.status is None:
        return
    if leaked := facts.status.memory.leaked:
        yield Finding(
            check="leaked memory",
            level="warning",
            found=f"{format_size(leaked)} ({leaked} bytes) never came back after a model had ended: "
            "no model can have it",
            mend="`sudo reboot` brings it back",
        )
    else:
        yield Finding(check="leaked memory", level="ok", found="none")


def check_swap(facts: Facts) -> Findings:
    """Swap in use: sparkd never counts on it, and a GPU's memory that is swapped stands still."""
    if facts.swap_used < SWAP_WARNING_SIZE:
        used = f"{facts.swap_used // MIB} MiB in use" if facts.swap_used else "none in use"
        yield Finding(check="swap", level="ok", found=used)
        return
    yield Finding(
        check="swap",
        level="warning",
        found=f"{format_size(facts.swap_used)} in use: engines become slow, "
        "and with unified memory the machine may freeze",
        mend="`sudo swapoff -a` once models have stopped, and raise `memory.reserve`",
    )


def check_page_cache(facts: Facts) -> Findings:
    """Page cache that CUDA counts as used where CPU and GPU share one memory: little free, much available."""
    memory = facts.memory
    if memory is None or memory.kind != "unified":
        return
    cached = max(0, memory.host_available - memory.free)
    found = f"{format_size(memory.free)} free, {format_size(cached)} more were it not for page cache"
    if memory.free >= 2 * facts.floor or cached < memory.host_total // 4:
        yield Finding(check="page cache", level="ok", found=found)
        return
    yield Finding(
        check="page cache",
        level="warning",
        found=f"{found}, which CUDA counts as used",
        mend="`echo 3 | sudo tee /proc/sys/vm/drop_caches` (before a load sparkd lets go of weight files only)",
    )


def check_delegation(facts: Facts) -> Findings:
    """Whether each engine can have a cgroup of its own."""
    if (cgroup := facts.delegation) is None:
        return
    if not cgroup.delegated:
        yield Finding(
            check="cgroup",
            level="warning",
            found=f"the cgroup of {cgroup.unit} is not delegated: engines are ended without one of their own",
            mend=f"`sudo systemctl edit {cgroup.unit}` with `Delegate=yes` under [Service], then restart it",
        )
    elif cgroup.missing_controllers:
        yield Finding(
            check="cgroup",
            level="warning",
            found=f"{cgroup.unit} has its cgroup delegated without {', '.join(cgroup.missing_controllers)}: "
            "engines are not weighed or measured by that",
            mend=f"`journalctl -u {cgroup.unit} EVENT=cgroups`; a kernel with cgroup v2 alone has all of them",
        )
    else:
        yield Finding(
            check="cgroup", level="ok", found=f"{cgroup.unit} has its cgroup delegated, one for each engine"
        )


def check_systemd(facts: Facts) -> Findings:
    """Whether sparkd is installed under systemd, comes back after a boot, and has not failed there."""
    if facts.units is None:
        return
    installed = {name: unit for name, unit in facts.units.items() if unit.enabled not in ("", "not-found")}
    if not installed:
        yield Finding(
            check="systemd",
            level="warning",
            found="sparkd is not installed: it does not come back by itself",
            mend="`sudo ./install.sh` in a copy of the repository",
        )
    elif missing := [name for name in UNITS if name not in installed]:
        yield Finding(
            check="systemd",
            level="wrong",
            found=f"installed by half: there is no {' nor '.join(missing)}",
            mend="`sudo ./install.sh` in a copy of the repository",
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
            level="wrong",
            found=f"{name} has failed",
            mend=f"`journalctl -e -u {name}` tells why",
        )
    if disabled:
        yield Finding(
            check="systemd",
            level="warning",
            found=f"sparkd does not come back after a boot: {', '.join(disabled)} not enabled",
            mend=f"`sudo systemctl enable --now {' '.join(disabled)}`",
        )
    elif inactive and not failed:
        yield Finding(
            check="systemd",
            level="warning",
            found=f"no client starts sparkd: {', '.join(inactive)} not active",
            mend=f"`sudo systemctl start {' '.join(inactive)}`",
        )
    elif not failed:
        yield Finding(
            check="systemd",
            level="ok",
            found=f"installed and enabled; {SERVICE} is {installed[SERVICE].active}",
        )
