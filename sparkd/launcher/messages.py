"""The messages between sparkd and a launcher: JSON in packets of a Unix socket. program.py has the other end.

sparkd sends `{"modules": […]}` once, and gets a Report. Then it sends ForkRequests, with the descriptors of the
engine's output and, optionally, of its gate, and gets a ForkReply for each, in order.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class ImportRequest(Struct, frozen=True):
    """Import these modules. "NAME if cuda" and "NAME if cpu" depend on the build of PyTorch."""

    modules: tuple[str, ...]


class Report(Struct, frozen=True, kw_only=True):
    """What the imports came to.

    `problem` is why the launcher must not be forked, empty if it may. `variables` are the names of the environment
    variables that the imports have read. `failed` has a line for each module that could not be imported. `seconds` is
    the time that the imports took, and `modules` the number of modules in memory.
    """

    problem: str = ""
    variables: frozenset[str] = frozenset()
    failed: tuple[str, ...] = ()
    seconds: float = 0.0
    modules: int = 0


class ForkRequest(Struct, frozen=True, kw_only=True):
    """Fork an engine with this argv, complete environment and working directory. `cgroup` is its cgroup.procs file."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    cgroup: str | None


class ForkReply(Struct, frozen=True):
    """The engine's PID, or why there is none."""

    pid: int = 0
    error: str = ""
