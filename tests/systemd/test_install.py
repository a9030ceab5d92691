"""install.sh, as its user runs it: first time, again, with a new version, with a broken one, and away again."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.systemd.installed import SERVICE, SOCKETS, Installed

PLACES = ("/etc", "/opt", "/run", "/srv", "/usr/local", "/usr/lib/systemd", "/var/lib", "/root", "/home")

Boot = Callable[[], Installed]


@pytest.fixture(scope="module")
def owned(boot: Boot) -> Installed:
    """A machine whose owner installs, upgrades and removes; each test here goes on from the one before."""
    installed = boot()
    installed.before = files(installed.lab)
    return installed


def files(lab: Lab) -> set[str]:
    """Every path in the places where an installation may leave something."""
    # systemd's own run-time state comes and goes; a user's home is not ours and may be large.
    pruned = [
        "(",
        "-path",
        "/run/systemd",
        "-o",
        "-path",
        "/root/*",
        "-o",
        "-path",
        "/srv/lab/*",
        ")",
        "-prune",
    ]
    return set(lab.run("find", *PLACES, *pruned, "-o", "-print").stdout.splitlines())


def changed_source(installed: Installed, name: str, file: str, old: str, new: str) -> str:
    """A copy of sparkd's sources with a change in it; where it lies inside."""
    copy = f"/tmp/{name}"
    installed.lab.run("cp", "--recursive", "/srv/lab/sparkd", copy)
    path = installed.lab.path(f"{copy}/{file}")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return copy


def mode(path: Path) -> str:
    found = path.stat()
    return f"{stat.S_IMODE(found.st_mode):o} {found.st_uid}"


def test_a_dry_run_tells_everything_and_does_nothing(owned: Installed) -> None:
    told = owned.install("--dry-run").stdout
    for expected in ("useradd", "/etc/sparkd/models.toml", "enable --quiet --now sparkd.socket"):
        assert expected in told
    assert files(owned.lab) == owned.before


def test_a_mistake_on_the_command_line_is_told(owned: Installed) -> None:
    for options, told in ((["--perfix"], "no option --perfix"), (["--prefix", "/"], "absolute path"),
                          (["--prefix", "/home/me/sparkd"], "may not look into /home"),
                          (["--wheels", "/no/such"], "no folder /no/such")):  # fmt: skip
        ran = owned.install(*options, check=False)
        assert ran.returncode == 1
        assert told in ran.stderr
    assert files(owned.lab) == owned.before


def test_without_what_it_needs_nothing_is_left(owned: Installed) -> None:
    """No wheels, no network: the environment cannot be built."""
    owned.lab.run("mkdir", "-p", "/tmp/empty")
    ran = owned.install("--wheels", "/tmp/empty", check=False)
    assert ran.returncode != 0
    assert files(owned.lab) - owned.before <= {"/opt/sparkd", "/opt/sparkd/versions"}


def test_a_first_install_opens_the_sockets_and_starts_nothing(owned: Installed) -> None:
    told = owned.install().stdout
    assert "random API key into /etc/sparkd/keys" in told
    assert owned.state() == "inactive"
    for socket in SOCKETS:
        assert owned.lab.show(socket, "ActiveState", "UnitFileState") == {
            "ActiveState": "active",
            "UnitFileState": "enabled",
        }
    assert mode(owned.lab.path("/etc/sparkd/keys")) == "600 0"
    assert mode(owned.lab.path("/etc/sparkd/models.toml")) == "644 0"
    assert len(owned.key) > 40
    assert owned.ask("/v1/models")[0] == 200
    bytecode = owned.lab.run("find", "/opt/sparkd/current/lib", "-path", "*sparkd/__pycache__/daemon*").stdout
    assert bytecode.count("\n") == 1


def test_a_second_install_changes_nothing_of_the_owners(owned: Installed) -> None:
    owned.catalogue(owned.models())
    catalogue = owned.lab.path("/etc/sparkd/models.toml")
    catalogue.write_text(catalogue.read_text() + "# mine\n")
    before = files(owned.lab), catalogue.read_text(), owned.key
    owned.install()
    assert (files(owned.lab), catalogue.read_text(), owned.key) == before


def test_an_upgrade_restarts_the_daemon_and_announces_a_changed_default(owned: Installed) -> None:
    assert owned.chat("a")[0] == 200
    daemon, running = owned.pid(), owned.lab.run("readlink", "/opt/sparkd/current").stdout
    new = changed_source(
        owned, "new", "models.toml", "SmolLM2 135M Instruct:", "SmolLM2 135M Instruct, newer:"
    )
    told = owned.install(source=new).stdout
    assert "/etc/sparkd/models.toml.new" in told
    assert "newer:" in owned.lab.path("/etc/sparkd/models.toml.new").read_text()
    assert owned.lab.path("/etc/sparkd/models.toml").read_text().endswith("# mine\n")
    assert owned.pid() not in (0, daemon)
    assert owned.lab.run("readlink", "/opt/sparkd/current").stdout != running
    assert owned.chat("a")[0] == 200


def test_a_version_that_cannot_be_built_leaves_the_old_one_alone(owned: Installed) -> None:
    assert owned.chat("a")[0] == 200
    daemon, before = owned.pid(), files(owned.lab)
    broken = changed_source(owned, "unbuilt", "requirements.lock", "anyio==", "no-such-package-anywhere==")
    assert owned.install(source=broken, check=False).returncode != 0
    assert owned.pid() == daemon
    assert files(owned.lab) == before


def test_a_version_that_does_not_start_makes_way_for_the_old_one(owned: Installed) -> None:
    assert owned.chat("a")[0] == 200
    running = owned.lab.run("readlink", "/opt/sparkd/current").stdout
    units = "ProtectClock=yes", "ProtectClock=yes\nNoExecPaths=/"
    broken = changed_source(owned, "unstarted", "units/sparkd.service", *units)
    ran = owned.install(source=broken, check=False)
    assert ran.returncode != 0
    assert "putting back what was there" in ran.stderr
    assert owned.lab.run("readlink", "/opt/sparkd/current").stdout == running
    assert owned.chat("a")[0] == 200


def test_an_uninstall_leaves_what_it_says_and_nothing_else(owned: Installed) -> None:
    assert owned.chat("a")[0] == 200
    kept = {path for path in files(owned.lab) if path.startswith(("/etc/sparkd", "/var/lib/sparkd"))}
    told = owned.install("--uninstall").stdout
    assert "Kept: /etc/sparkd (configuration, keys), /var/lib/sparkd (models, logs), the user sparkd" in told
    assert owned.of_sparkd() == []
    left = {path for path in files(owned.lab) - owned.before if not path.startswith("/var/lib/sparkd/")}
    assert left <= kept | user_files()
    assert "/etc/sparkd/models.d/lab.toml" in kept & files(owned.lab)
    assert owned.lab.show(SERVICE, "LoadState")["LoadState"] == "not-found"


def test_a_purge_leaves_nothing(owned: Installed) -> None:
    owned.install("--purge")
    assert files(owned.lab) - owned.before <= user_files()
    assert owned.lab.run("getent", "passwd", "sparkd", check=False).returncode == 2


def user_files() -> set[str]:
    """Copies that useradd and userdel keep of the files they change."""
    return {f"/etc/{name}-" for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")}


def test_a_package_can_be_laid_out_without_touching_the_machine(boot: Boot) -> None:
    installed = boot()
    before = files(installed.lab)
    ran = installed.lab.run("env", "DESTDIR=/tmp/package", "/srv/lab/sparkd/install.sh",
                            "--wheels", "/srv/lab/wheels", "--prefix", "/opt/other")  # fmt: skip
    assert "Done" in ran.stdout
    assert files(installed.lab) == before
    package = installed.lab.path("/tmp/package")
    assert (
        "ExecStart=/opt/other/current/bin/sparkd"
        in (package / "usr/local/lib/systemd/system/sparkd.service").read_text()
    )
    assert not (package / "etc/sparkd/keys").exists()
    installed.lab.run("cp", "--recursive", "/tmp/package/opt/other", "/opt/other")
    assert installed.lab.run("/opt/other/current/bin/sparkd", "--version").stdout.startswith("sparkd ")
    found = installed.lab.run("grep", "-rlF", "/tmp/package", "/opt/other", check=False)
    assert found.stdout == ""
