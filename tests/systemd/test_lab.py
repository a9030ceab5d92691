"""The lab itself: several real systemds, and nothing left of any."""

from __future__ import annotations

from pathlib import Path

from tests.lab import Lab
from tests.lab.lab import _cgroup2


def test_two_labs_side_by_side_share_nothing_and_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "shown").write_text("from outside")
    with Lab(tmp_path) as one, Lab(tmp_path) as other:
        for lab in (one, other):
            assert lab.run("cat", "/srv/lab/shown").stdout == "from outside"
            assert lab.run("cat", "/proc/1/comm").stdout == "systemd\n"
            assert lab.run("systemctl", "list-units", "--failed", "--no-legend").stdout == ""
        one.run("sh", "-c", "echo mine >/etc/of-one-lab")
        assert not other.path("/etc/of-one-lab").exists()
        assert not Path("/etc/of-one-lab").exists()
        trees, folders = [lab._tree for lab in (one, other)], [lab._folder for lab in (one, other)]
        assert all(tree.parent == _cgroup2() and tree.exists() for tree in trees)
    assert not any(left.exists() for left in (*trees, *folders))


def test_commands_in_a_lab_have_their_own_exit_status(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab:
        assert lab.run("sh", "-c", "exit 7", check=False).returncode == 7
        service = ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--"]
        assert lab.run(*service, "sh", "-c", "echo said; exit 9", check=False).returncode == 9
