"""Boots a real systemd in half a second, runs commands in it, and shuts it down.

It needs what any Linux machine with systemd has: root, cgroup v2, overlayfs, util-linux. Several labs may run at the
same time: each has its own processes, files and network, and therefore its own port 8009.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

BOOT: Final = Path(__file__).with_name("boot")
TREE: Final = Path(os.environ.get("SPARKD_LAB_TREE", "/"))
"""The system that labs copy: this machine's own, or one that debootstrap has created in a folder."""

INIT: Final = TREE / "lib/systemd/systemd"
TOOLS: Final = ("unshare", "nsenter", "setpriv", "mount", "ip", "systemctl")
SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POWEROFF: Final = signal.SIGRTMIN + 4
"""Makes a systemd that is PID 1 power off: systemd(1), “Signals”."""

BOOT_TIME: Final = 120.0
"""Seconds that a boot may take on a busy machine. It usually takes half a second."""

_numbers = itertools.count()


class Lab:
    """One booted systemd: `with Lab(share) as lab: lab.run("systemctl", "status")`.

    `share` is a folder of this machine. Inside it is /srv/lab, read-only.
    """

    def __init__(self, share: Path) -> None:
        self._share = share
        self._name = f"sparkd-lab-{os.getpid()}-{next(_numbers)}"
        self._unshare: subprocess.Popen[bytes] | None = None
        self.pid = 0
        """systemd's PID outside the lab."""

    def __enter__(self) -> Self:
        missing = find_missing_requirement()
        assert not missing, f"these tests boot a real systemd, and that needs {missing}"
        self._folder = Path(tempfile.mkdtemp(prefix="sparkd-lab-"))
        self._tree = _cgroup2() / self._name
        try:
            self._boot()
        except BaseException:
            self.shut_down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shut_down()

    def _boot(self) -> None:
        self._tree.mkdir()
        log = self._folder / "boot.log"
        (self._folder / "root").mkdir()
        # The shell moves into the new cgroup before it unshares, so that this is the root of the new cgroup namespace.
        enter = 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"'
        namespaces = ["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--net", "--fork", "--kill-child"]
        stage_two = [str(BOOT), self._name, str(self._folder / "root"), str(self._share), str(TREE)]
        with log.open("wb") as output:
            self._unshare = subprocess.Popen(
                ["sh", "-c", enter, "lab", str(self._tree), "unshare", *namespaces, *stage_two],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.pid = self.wait_until("systemd is there", lambda: self._child(log), BOOT_TIME)
        # A delegated root must not contain a process.
        (self._tree.parent / "cgroup.procs").write_text(str(self._unshare.pid))
        private_socket = Path(f"/proc/{self.pid}/root/run/systemd/private")
        self.wait_until(
            "systemd listens",
            lambda: self._child(log) and self._is_systemd() and private_socket.exists(),
            BOOT_TIME,
        )
        state = self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip()
        assert state in ("running", "degraded"), f"{state}: {log.read_text()}"

    def _child(self, log: Path) -> int | None:
        assert self._unshare is not None
        assert self._unshare.poll() is None, f"the lab did not boot:\n{log.read_text()}"
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children").read_text().split()
        return int(children[0]) if children else None

    def _is_systemd(self) -> bool:
        """Return whether stage two has become systemd. Before that, its root may be the machine's own."""
        return Path(f"/proc/{self.pid}/comm").read_text() == "systemd\n"

    def shut_down(self) -> None:
        """Power off, and remove everything."""
        if self._unshare is not None:
            if self.pid and self._unshare.poll() is None:
                os.kill(self.pid, POWEROFF)
            try:
                self._unshare.wait(30)
            except subprocess.TimeoutExpired:
                self._unshare.kill()  # --kill-child also kills systemd, and with it the whole PID namespace
                self._unshare.wait()
            self._unshare = None
        if self._tree.exists():
            (self._tree / "cgroup.kill").write_text("1")
            self.wait_until("the lab's cgroups are gone", self._remove_cgroups)
        shutil.rmtree(self._folder)

    def _remove_cgroups(self) -> bool:
        folders = [Path(folder) for folder, _, _ in os.walk(self._tree, topdown=False)]
        for folder in folders:
            try:
                folder.rmdir()
            except OSError:
                return False
        return True

    # Inside ------------------------------------------------------------------------------------------------

    def run(
        self, *argv: str, check: bool = True, timeout: float = 600.0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside; unless `check` is False it must succeed."""
        result = subprocess.run(
            self.command_inside(*argv, **environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        assert not check or result.returncode == 0, (
            f"{argv} → {result.returncode}\n{result.stdout}{result.stderr}"
        )
        return result

    def command_inside(self, *argv: str, **environment: str) -> list[str]:
        """Return the command line that runs a command inside."""
        settings = {"PATH": SEARCH_PATH, "LANG": "C.UTF-8", "NO_COLOR": "1", **environment}
        variables = [f"{name}={value}" for name, value in settings.items()]
        return ["nsenter", "--target", str(self.pid), "--all", "--", "env", "-i", *variables, *argv]

    def path(self, inside: str) -> Path:
        """Return the path outside of a file inside."""
        return Path(f"/proc/{self.pid}/root{inside}")

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """Return properties of a unit."""
        output = self.run("systemctl", "show", unit, f"--property={','.join(properties)}").stdout
        return dict(line.split("=", 1) for line in output.splitlines())

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """Return the current entries of the journal."""
        self.run("journalctl", "--sync")
        output = self.run("journalctl", "--output=json", "--no-pager", *matches).stdout
        return [json.loads(line) for line in output.splitlines()]

    def wait_until(self, description: str, condition: Callable[[], Any], seconds: float = 60.0) -> Any:
        """Return what `condition` returns as soon as that is truthy; fail after `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if result := condition():
                return result
            time.sleep(0.01)
        raise AssertionError(f"not within {seconds} seconds: {description}")


def find_missing_requirement() -> str:
    """Return what this machine is missing for a lab, as the end of a sentence. Empty if nothing is missing."""
    if os.geteuid() != 0:
        return "root: run the tests with sudo, or leave these out with `--ignore=tests/systemd`"
    missing_tools = [tool for tool in TOOLS if shutil.which(tool) is None]
    if not INIT.exists() or missing_tools:
        return f"systemd and util-linux installed: there is no {' nor '.join(missing_tools) or INIT}"
    if _cgroup2_or_none() is None:
        return "a cgroup2 file system that is mounted and writable"
    return ""


def _cgroup2() -> Path:
    path = _cgroup2_or_none()
    assert path is not None
    return path


def _cgroup2_or_none() -> Path | None:
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount_point, kind, *_ = line.split()
        if kind == "cgroup2" and os.access(mount_point, os.W_OK):
            return Path(mount_point)
    return None
