"""install.sh, as its user runs it: first time, again, with a new version, with a broken one, and away again."""

from __future__ import annotations

import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.systemd.installed import SERVICE, SOCKETS, Installed

PLACES = ("/etc", "/opt", "/run", "/srv", "/usr/local", "/usr/lib/systemd", "/var/lib", "/root", "/home")

USER_FILES = {f"/etc/{name}-" for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")}
"""Copies that useradd and userdel keep of the files they change."""

FAULTY = """#!/bin/bash
read -r n at how <"${0%/*}/plan"
echo "$((n + 1)) $at $how" >"${0%/*}/plan"
if [[ $((n + 1)) == "$at" ]]; then
    [[ $how == fails ]] || kill -KILL "$PPID"
    exit 1
fi
PATH=${PATH#*:} exec "${0##*/}" "$@"
"""
"""Stands for a command before the real one in PATH: the call with a number `at` fails, or kills who made it."""

CALLED = ("mv", "cp", "install", "ln", "rm", "mkdir", "systemctl", "touch", "sed")

Boot = Callable[[], Installed]


@pytest.fixture(scope="module")
def owned(boot: Boot) -> Installed:
    """A machine whose owner installs, upgrades and removes; each test here goes on from the one before."""
    installed = boot()
    installed.before = files(installed.lab)
    return installed


def files(lab: Lab, form: str = "%p") -> set[str]:
    """Every path in the places where an installation may leave something, each as find's `form` tells it."""
    # systemd's own run-time state comes and goes; a user's home is not ours and may be large.
    left_out = [
        "(",
        "-path",
        "/run/systemd",
        "-o",
        "-path",
        "/run/log",
        "-o",
        "-path",
        "/root/*",
        "-o",
        "-path",
        "/srv/lab/*",
        ")",
        "-prune",
    ]
    return set(lab.run("find", *PLACES, *left_out, "-o", "-printf", f"{form}\n").stdout.splitlines())


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


def current(installed: Installed) -> str:
    return installed.lab.run("readlink", "/opt/sparkd/current").stdout.strip()


def left_over(installed: Installed) -> str:
    """What is there of an unfinished installation."""
    return installed.lab.run("find", "/etc", "/opt", "/usr/local", "-name", "*.sparkd-*").stdout


def answers(installed: Installed) -> bool:
    return installed.ask("/v1/models")[0] == 200


# Before there is anything ------------------------------------------------------------------------------------


def test_a_dry_run_tells_everything_and_does_nothing(owned: Installed) -> None:
    everything = "%p %y %m %U %s %T@"
    before = files(owned.lab, everything)
    told = owned.install("--dry-run").stdout
    for expected in ("-m venv /opt/sparkd/versions/", "--require-hashes", "useradd", "/etc/sparkd/models.toml",
                     "/usr/local/lib/systemd/system/sparkd.service", "/usr/local/share/zsh/site-functions/_sparkctl",
                     "systemctl daemon-reload", "enable --quiet --now sparkd.socket",
                     "nothing was changed"):  # fmt: skip
        assert expected in told
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/srv/lab/sparkd/install.sh"]
    assert "nothing was changed" in owned.lab.run(*nobody, "--dry-run").stdout
    assert "root privileges are needed. Run: sudo" in owned.lab.run(*nobody, check=False).stderr
    assert files(owned.lab, everything) == before


def test_a_mistake_on_the_command_line_is_told(owned: Installed) -> None:
    for options, told in ((["--perfix"], "unknown option --perfix"), (["--prefix", "/"], "absolute path"),
                          (["--prefix", "/home/me/sparkd"], "no access to /home"),
                          (["--wheels", "/no/such"], "/no/such: no such directory")):  # fmt: skip
        ran = owned.install(*options, check=False)
        assert ran.returncode == 1
        assert told in ran.stderr
    assert files(owned.lab) == owned.before


def test_what_the_machine_lacks_is_told_with_the_command_that_gets_it(owned: Installed) -> None:
    lab, ask = owned.lab, "import ensurepip, sys, sysconfig; print({})"
    header, ensurepip, version = (
        lab.run("/usr/bin/python3", "-c", ask.format(what)).stdout.strip()
        for what in (
            "sysconfig.get_path('include')",
            "ensurepip.__path__[0]",
            "'%d.%d' % sys.version_info[:2]",
        )
    )
    lab.run("sh", "-c", f"for f in g++ ninja; do rm -f /usr/bin/$f /usr/local/bin/$f; done; rm -rf {header}")
    told = owned.install("--dry-run").stdout
    for package in ("nvidia-driver", "gcc g++", f"python{version}-dev", "ninja-build"):
        assert re.search(rf"note: .*sudo apt-get install {re.escape(package)}", told), told
    lab.run("mv", ensurepip, "/tmp/ensurepip")
    assert f"sudo apt-get install python{version}-venv" in owned.install("--dry-run", check=False).stderr
    lab.run("mv", "/tmp/ensurepip", ensurepip)


def test_a_first_install_that_fails_leaves_nothing(owned: Installed) -> None:
    """No wheels, no network: the environment cannot be built. A port that is taken: the last step of all."""
    owned.lab.run("mkdir", "-p", "/tmp/empty")
    assert owned.install("--wheels", "/tmp/empty", check=False).returncode != 0
    assert files(owned.lab) == owned.before
    owned.lab.run("systemd-run", "--quiet", "--unit=taker", "/usr/bin/python3", "-m", "http.server", "8009")
    owned.lab.until(
        "it has taken the port", lambda: owned.lab.run("curl", "-s", "127.0.0.1:8009", check=False).stdout
    )
    ran = owned.install(check=False)
    owned.lab.run("systemctl", "stop", "taker")
    assert ran.returncode != 0
    assert "restoring the old version" in ran.stderr
    assert files(owned.lab) - owned.before <= USER_FILES
    assert owned.lab.run("getent", "passwd", "sparkd", check=False).returncode == 2
    assert owned.lab.show("sparkd.socket", "LoadState")["LoadState"] == "not-found"


# The flow: install, start, ask, upgrade, remove -----------------------------------------------------------------


def test_a_first_install_opens_the_sockets_and_starts_nothing(owned: Installed) -> None:
    owned.lab.run("/usr/bin/python3", "-m", "venv", "--without-pip", "/tmp/venv")
    path = "/tmp/venv/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    command = ["/srv/lab/sparkd/install.sh", "--wheels", "/srv/lab/wheels"]
    told = owned.lab.run(*command, VIRTUAL_ENV="/tmp/venv", PATH=path).stdout
    assert "home = /usr/bin\n" in owned.lab.path(f"{current(owned)}/pyvenv.cfg").read_text()
    assert "random API key to /etc/sparkd/keys" in told
    assert owned.state() == "inactive"
    for socket in SOCKETS:
        assert owned.lab.show(socket, "ActiveState", "UnitFileState") == {
            "ActiveState": "active",
            "UnitFileState": "enabled",
        }
    assert mode(owned.lab.path("/etc/sparkd/keys")) == "600 0"
    assert mode(owned.lab.path("/etc/sparkd/models.toml")) == "644 0"
    assert len(owned.key) > 40
    assert left_over(owned) == ""
    assert answers(owned)
    bytecode = owned.lab.run("find", "/opt/sparkd/current/lib", "-path", "*sparkd/__pycache__/daemon*").stdout
    assert bytecode.count("\n") == 1


def test_completions_are_where_the_shells_look(owned: Installed) -> None:
    share = "/usr/local/share"
    file = f"{share}/bash-completion/completions/sparkctl"
    line = "COMP_LINE='sparkctl load sm' COMP_POINT=16"
    ask = f'. {file}; {line}; _sparkd_complete sparkctl; echo "${{COMPREPLY[@]}}"'
    assert owned.lab.run("bash", "-c", ask).stdout == "smollm2-135m-instruct\n"
    for other in ("bash-completion/completions/sparkd", "zsh/site-functions/_sparkctl",
                  "fish/vendor_completions.d/sparkctl.fish", "fish/vendor_completions.d/sparkd.fish"):  # fmt: skip
        assert owned.lab.path(f"{share}/{other}").stat().st_size > 1000


def test_a_second_install_changes_nothing_and_restarts_nothing(owned: Installed) -> None:
    owned.catalogue(owned.models())
    owned.lab.run("systemctl", "restart", SERVICE)
    assert owned.chat("a")[0] == 200
    before = files(owned.lab), owned.key, owned.pid(), owned.engine_pid("a")
    owned.install()
    assert (files(owned.lab), owned.key, owned.pid(), owned.engine_pid("a")) == before


def test_an_upgrade_keeps_models_and_replaces_a_catalogue_that_nobody_has_changed(owned: Installed) -> None:
    before, running = (owned.pid(), owned.engine_pid("a")), current(owned)
    told = owned.install(
        source=changed_source(owned, "newer", "models.toml", "Instruct:", "Instruct, newer:")
    ).stdout
    assert "Replacing /etc/sparkd/models.toml" in told
    assert "newer:" in owned.lab.path("/etc/sparkd/models.toml").read_text()
    assert not owned.lab.path("/etc/sparkd/models.toml.new").exists()
    assert "restarting" not in told
    assert (owned.pid(), owned.engine_pid("a")) == before
    assert current(owned) != running
    assert f"{current(owned)}/bin/" in owned.lab.path(f"/proc/{owned.pid()}/cmdline").read_text()
    assert owned.chat("a")[0] == 200


def test_a_changed_default_comes_beside_a_catalogue_that_is_the_owners(owned: Installed) -> None:
    catalogue = owned.lab.path("/etc/sparkd/models.toml")
    catalogue.write_text(catalogue.read_text() + "# mine\n")
    newest = changed_source(owned, "newest", "models.toml", "Instruct:", "Instruct, newest:")
    assert "diff /etc/sparkd/models.toml /etc/sparkd/models.toml.new" in owned.install(source=newest).stdout
    assert "newest:" in owned.lab.path("/etc/sparkd/models.toml.new").read_text()
    assert catalogue.read_text().endswith("# mine\n")
    assert "models.toml.new" not in owned.install(source=newest).stdout, "told once"


def test_a_socket_with_connections_in_it_stays_open(owned: Installed) -> None:
    unit = owned.lab.path(f"{current(owned)}/units/sparkd.socket")
    text = unit.read_text()
    number = owned.lab.show("sparkd.socket", "InvocationID")
    unit.write_text(text.replace("Backlog=4096", "Backlog=2048"))
    told = owned.install(source="/tmp/newest").stdout
    assert "sparkd.socket has changed. It stays open" in told
    assert owned.lab.show("sparkd.socket", "InvocationID") == number
    owned.lab.run("systemctl", "stop", SERVICE)
    unit.write_text(text)
    assert "sparkd.socket has changed. Opening it again" in owned.install(source="/tmp/newest").stdout
    assert owned.lab.show("sparkd.socket", "InvocationID") != number
    assert owned.chat("a")[0] == 200


def test_a_socket_at_another_address_is_opened_there(owned: Installed) -> None:
    unit = owned.lab.path(f"{current(owned)}/units/sparkd.socket")
    text = unit.read_text()
    unit.write_text(text.replace("127.0.0.1:8009", "127.0.0.1:8010"))
    assert "sparkd.socket has a new address" in owned.install(source="/tmp/newest").stdout
    assert owned.lab.run("curl", "-s", "127.0.0.1:8010/v1/models").stdout
    unit.write_text(text)
    assert "sparkd.socket has a new address" in owned.install(source="/tmp/newest").stdout
    assert owned.lab.run("curl", "-s", "127.0.0.1:8010/v1/models", check=False).returncode == 7
    assert owned.chat("a")[0] == 200


# Upgrades that fail -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["fails", "kills"])
def test_whichever_step_ends_it_somebody_answers_and_the_next_run_finishes(
    owned: Installed, how: str
) -> None:
    """From a version to the one before it, which is built already; and back."""
    folder = owned.lab.path("/tmp/faulty")
    folder.mkdir(exist_ok=True)
    for command in CALLED:
        (folder / command).write_text(FAULTY)
        (folder / command).chmod(0o755)
    path = "/tmp/faulty:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    source, other = ("/tmp/newer", "/tmp/newest") if how == "fails" else ("/tmp/newest", "/tmp/newer")
    step, untouched = 1, False
    while not untouched:
        running = current(owned)
        (folder / "plan").write_text(f"0 {step} {how}\n")
        ran = owned.lab.run(f"{source}/install.sh", "--wheels", "/srv/lab/wheels", check=False, PATH=path)
        told = f"step {step}: {ran.stdout}{ran.stderr}"
        assert answers(owned), told
        untouched = int((folder / "plan").read_text().split()[0]) < step
        if ran.returncode == 0:
            source, other = other, source
        elif how == "fails":
            assert (current(owned), left_over(owned)) == (running, ""), told
        step += 8
    assert ran.returncode == 0
    assert step > 50
    assert left_over(owned) == ""
    assert owned.chat("a")[0] == 200


def test_a_version_that_cannot_be_built_leaves_the_old_one_alone(owned: Installed) -> None:
    assert owned.chat("a")[0] == 200
    before = owned.pid(), owned.engine_pid("a"), files(owned.lab)
    broken = changed_source(owned, "unbuilt", "requirements.lock", "anyio==", "no-such-package-anywhere==")
    assert owned.install(source=broken, check=False).returncode != 0
    assert (owned.pid(), owned.engine_pid("a"), files(owned.lab)) == before


def test_a_full_disk_leaves_the_old_one_alone(owned: Installed) -> None:
    lab, versions = owned.lab, "/opt/sparkd/versions"
    before = owned.pid(), owned.engine_pid("a"), files(lab)
    source = changed_source(owned, "unfitting", "models.toml", "Instruct:", "Instruct, too large:")
    lab.run("mkdir", "/tmp/small", "/tmp/lie")
    lab.run("mount", "-t", "tmpfs", "-o", "size=100%", "small", "/tmp/small")
    lab.run("cp", "-a", f"{versions}/.", "/tmp/small")
    used = int(lab.run("df", "--output=used", "/tmp/small").stdout.split()[-1])
    lab.run("mount", "-o", f"remount,size={used + 40000}k", "/tmp/small")
    lab.run("mount", "--bind", "/tmp/small", versions)
    # install.sh looks whether there is room; here the room is gone after it has looked.
    lab.path("/tmp/lie/df").write_text("#!/bin/sh\necho 99999999\n")
    lab.path("/tmp/lie/df").chmod(0o755)
    install = [f"{source}/install.sh", "--wheels", "/srv/lab/wheels"]
    ran = lab.run(*install, check=False, PATH="/tmp/lie:/usr/sbin:/usr/bin:/sbin:/bin")
    lab.run("umount", versions)
    assert ran.returncode != 0
    assert "No space left on device" in ran.stderr
    assert (owned.pid(), owned.engine_pid("a"), files(lab)) == before


def test_an_installer_that_is_killed_while_it_builds_is_followed_by_one_that_finishes(
    owned: Installed,
) -> None:
    source = changed_source(owned, "killed", "models.toml", "Instruct:", "Instruct, killed:")
    install = owned.lab.inside(f"{source}/install.sh", "--wheels", "/srv/lab/wheels")
    running = current(owned)
    with subprocess.Popen(install, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as building:
        begun = owned.lab.path("/opt/sparkd/versions")
        folders = set(begun.iterdir())
        owned.lab.until(
            "it is building", lambda: any((new / "bin/pip").exists() for new in {*begun.iterdir()} - folders)
        )
        building.kill()
    owned.lab.run("sh", "-c", "kill -KILL $(pgrep -f [/]killed/install.sh)", check=False)
    assert current(owned) == running
    assert owned.chat("a")[0] == 200
    owned.lab.until(
        "the program that it had started has ended, and with it the lock",
        lambda: owned.lab.run("flock", "--nonblock", "/opt/sparkd", "true", check=False).returncode == 0,
        seconds=120,
    )
    owned.install(source=source)
    assert current(owned) != running
    assert owned.chat("a")[0] == 200


def test_a_version_that_does_not_start_makes_way_for_the_old_one(owned: Installed) -> None:
    assert owned.chat("a")[0] == 200
    running = current(owned)
    start = (
        "    if arguments.takes_over is not None:",
        "    return 3\n    if arguments.takes_over is not None:",
    )
    broken = changed_source(owned, "unstarted", "sparkd/daemon.py", *start)
    ran = owned.install(source=broken, check=False)
    assert ran.returncode != 0
    assert "Could not replace the running daemon, so restarting it" in ran.stdout
    assert "restoring the old version" in ran.stderr
    assert current(owned) == running
    assert owned.chat("a")[0] == 200


# Away again -------------------------------------------------------------------------------------------------------


def test_an_uninstall_leaves_what_it_says_and_nothing_else(owned: Installed) -> None:
    assert owned.chat("a")[0] == 200
    kept = {path for path in files(owned.lab) if path.startswith(("/etc/sparkd", "/var/lib/sparkd"))}
    told = owned.install("--uninstall").stdout
    assert "Kept: /etc/sparkd (configuration, keys), /var/lib/sparkd (models, logs), the user sparkd" in told
    assert owned.of_sparkd() == []
    left = {path for path in files(owned.lab) - owned.before if not path.startswith("/var/lib/sparkd/")}
    assert left <= kept | USER_FILES
    assert "/etc/sparkd/models.d/lab.toml" in kept & files(owned.lab)
    assert owned.before <= files(owned.lab)
    assert owned.lab.show(SERVICE, "LoadState")["LoadState"] == "not-found"


def test_what_was_kept_is_taken_up_again(owned: Installed) -> None:
    key, catalogue = owned.key, owned.lab.path("/etc/sparkd/models.toml").read_text()
    told = owned.install().stdout
    assert "random API key" not in told
    assert (owned.key, owned.lab.path("/etc/sparkd/models.toml").read_text()) == (key, catalogue)
    assert owned.chat("a")[0] == 200


def test_a_purge_leaves_nothing(owned: Installed) -> None:
    owned.lab.path("/etc/systemd/system/sparkd.service.d").mkdir()
    owned.install("--uninstall", "--purge")
    assert files(owned.lab) - owned.before <= USER_FILES
    assert owned.before <= files(owned.lab)
    assert owned.lab.run("getent", "passwd", "sparkd", check=False).returncode == 2


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
    assert (package / "usr/local/share/bash-completion/completions/sparkctl").exists()
    assert not (package / "etc/sparkd/keys").exists()
    installed.lab.run("cp", "--recursive", "/tmp/package/opt/other", "/opt/other")
    assert installed.lab.run("/opt/other/current/bin/sparkd", "--version").stdout.startswith("sparkd ")
    found = installed.lab.run("grep", "-rlF", "/tmp/package", "/opt/other", check=False)
    assert found.stdout == ""
    installed.lab.run("rm", "-r", "/opt/other")
    installed.lab.run(
        "env", "DESTDIR=/tmp/package", "/srv/lab/sparkd/install.sh", "--purge", "--prefix", "/opt/other"
    )
    assert installed.lab.run("find", "/tmp/package", "-type", "f").stdout == ""
