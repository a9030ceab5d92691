"""install.sh as a user runs it: first install, repeated install, upgrade, failed upgrade, uninstall."""

from __future__ import annotations

import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.systemd.installation import SERVICE, SOCKETS, Installation

SEARCHED_FOLDERS = (
    "/etc",
    "/opt",
    "/run",
    "/srv",
    "/usr/local",
    "/usr/lib/systemd",
    "/var/lib",
    "/root",
    "/home",
)

USER_FILES = {f"/etc/{name}-" for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")}
"""Backups that useradd and userdel keep of the files they change."""

FAULTY = """#!/bin/bash
read -r n at how <"${0%/*}/plan"
echo "$((n + 1)) $at $how" >"${0%/*}/plan"
if [[ $((n + 1)) == "$at" ]]; then
    [[ $how == fails ]] || kill -KILL "$PPID"
    exit 1
fi
PATH=${PATH#*:} exec "${0##*/}" "$@"
"""
"""Replaces a command: it comes first in PATH. The call with the number `at` fails, or kills its caller."""

COMMANDS = ("mv", "cp", "install", "ln", "rm", "mkdir", "systemctl", "touch", "sed")

Boot = Callable[[], Installation]


@pytest.fixture(scope="module")
def installation(boot: Boot) -> Installation:
    """Return a machine whose owner installs, upgrades and removes sparkd. Each test continues from the one before."""
    installed = boot()
    installed.before = files(installed.lab)
    return installed


def files(lab: Lab, form: str = "%p") -> set[str]:
    """Return every path in folders where an installation may leave files, each formatted by find's `form`."""
    # systemd's own run-time state comes and goes; a user's home is not ours and may be large.
    excluded = [
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
    return set(
        lab.run("find", *SEARCHED_FOLDERS, *excluded, "-o", "-printf", f"{form}\n").stdout.splitlines()
    )


def change_source(installed: Installation, name: str, file: str, old: str, new: str) -> str:
    """Copy sparkd's sources with one change; return the copy's path inside."""
    copy = f"/tmp/{name}"
    installed.lab.run("cp", "--recursive", "/srv/lab/sparkd", copy)
    path = installed.lab.path(f"{copy}/{file}")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return copy


def mode(path: Path) -> str:
    status = path.stat()
    return f"{stat.S_IMODE(status.st_mode):o} {status.st_uid}"


def current(installed: Installation) -> str:
    return installed.lab.run("readlink", "/opt/sparkd/current").stdout.strip()


def list_leftovers(installed: Installation) -> str:
    """Return the files of an unfinished installation."""
    return installed.lab.run("find", "/etc", "/opt", "/usr/local", "-name", "*.sparkd-*").stdout


def is_answering(installed: Installation) -> bool:
    return installed.ask("/v1/models")[0] == 200


# Before the first install ------------------------------------------------------------------------------------


def test_a_dry_run_reports_everything_and_changes_nothing(installation: Installation) -> None:
    everything = "%p %y %m %U %s %T@"
    before = files(installation.lab, everything)
    output = installation.install("--dry-run").stdout
    for expected in ("-m venv /opt/sparkd/versions/", "--require-hashes", "useradd", "/etc/sparkd/models.toml",
                     "/usr/local/lib/systemd/system/sparkd.service", "/usr/local/share/zsh/site-functions/_sparkctl",
                     "systemctl daemon-reload", "enable --quiet --now sparkd.socket",
                     "nothing was changed"):  # fmt: skip
        assert expected in output
    source = change_source(installation, "cached", "models.toml", "Instruct:", "Instruct, cached:")
    # A cache that only root can read does not stop anyone else.
    installation.lab.path(f"{source}/sparkd/__pycache__").mkdir(exist_ok=True)
    installation.lab.path(f"{source}/sparkd/__pycache__").chmod(0o700)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", f"{source}/install.sh"]
    assert "nothing was changed" in installation.lab.run(*nobody, "--dry-run").stdout
    assert "root privileges are needed. Run: sudo" in installation.lab.run(*nobody, check=False).stderr
    assert files(installation.lab, everything) == before


def test_a_mistake_on_the_command_line_is_reported(installation: Installation) -> None:
    for options, output in ((["--perfix"], "unknown option --perfix"), (["--prefix", "/"], "absolute path"),
                          (["--prefix", "/home/me/sparkd"], "no access to /home"),
                          (["--wheels", "/no/such"], "/no/such: no such directory")):  # fmt: skip
        ran = installation.install(*options, check=False)
        assert ran.returncode == 1
        assert output in ran.stderr
    assert files(installation.lab) == installation.before


def test_missing_requirements_are_reported_with_the_command_that_installs_them(
    installation: Installation,
) -> None:
    lab, ask = installation.lab, "import ensurepip, sys, sysconfig; print({})"
    header, ensurepip, version = (
        lab.run("/usr/bin/python3", "-c", ask.format(what)).stdout.strip()
        for what in (
            "sysconfig.get_path('include')",
            "ensurepip.__path__[0]",
            "'%d.%d' % sys.version_info[:2]",
        )
    )
    lab.run("sh", "-c", f"for f in g++ ninja; do rm -f /usr/bin/$f /usr/local/bin/$f; done; rm -rf {header}")
    output = installation.install("--dry-run").stdout
    for package in ("nvidia-driver", "gcc g++", f"python{version}-dev", "ninja-build"):
        assert re.search(rf"note: .*sudo apt-get install {re.escape(package)}", output), output
    lab.run("mv", ensurepip, "/tmp/ensurepip")
    assert (
        f"sudo apt-get install python{version}-venv" in installation.install("--dry-run", check=False).stderr
    )
    lab.run("mv", "/tmp/ensurepip", ensurepip)


def test_a_first_install_that_fails_leaves_nothing(installation: Installation) -> None:
    """Without wheels and network, the environment cannot be built. With a port in use, the last step fails."""
    installation.lab.run("mkdir", "-p", "/tmp/empty")
    assert installation.install("--wheels", "/tmp/empty", check=False).returncode != 0
    assert files(installation.lab) == installation.before
    installation.lab.run(
        "systemd-run", "--quiet", "--unit=taker", "/usr/bin/python3", "-m", "http.server", "8009"
    )
    installation.lab.wait_until(
        "it has taken the port",
        lambda: installation.lab.run("curl", "-s", "127.0.0.1:8009", check=False).stdout,
    )
    ran = installation.install(check=False)
    installation.lab.run("systemctl", "stop", "taker")
    assert ran.returncode != 0
    assert "restoring the old version" in ran.stderr
    assert files(installation.lab) - installation.before <= USER_FILES
    assert installation.lab.run("getent", "passwd", "sparkd", check=False).returncode == 2
    assert installation.lab.show("sparkd.socket", "LoadState")["LoadState"] == "not-found"


# Install, start, request, upgrade, remove ------------------------------------------------------------------------


def test_a_first_install_opens_the_sockets_and_starts_nothing(installation: Installation) -> None:
    installation.lab.run("/usr/bin/python3", "-m", "venv", "--without-pip", "/tmp/venv")
    path = "/tmp/venv/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    command = ["/srv/lab/sparkd/install.sh", "--wheels", "/srv/lab/wheels"]
    output = installation.lab.run(*command, VIRTUAL_ENV="/tmp/venv", PATH=path).stdout
    assert "home = /usr/bin\n" in installation.lab.path(f"{current(installation)}/pyvenv.cfg").read_text()
    assert "random API key to /etc/sparkd/keys" in output
    assert installation.state() == "inactive"
    for socket in SOCKETS:
        assert installation.lab.show(socket, "ActiveState", "UnitFileState") == {
            "ActiveState": "active",
            "UnitFileState": "enabled",
        }
    assert installation.lab.show("sparkd-ollama.socket", "ActiveState", "UnitFileState") == {
        "ActiveState": "inactive",
        "UnitFileState": "disabled",
    }
    assert mode(installation.lab.path("/etc/sparkd/keys")) == "600 0"
    assert mode(installation.lab.path("/etc/sparkd/models.toml")) == "644 0"
    assert len(installation.key) > 40
    assert list_leftovers(installation) == ""
    assert is_answering(installation)
    bytecode = installation.lab.run(
        "find", "/opt/sparkd/current/lib", "-path", "*sparkd/__pycache__/daemon*"
    ).stdout
    assert bytecode.count("\n") == 1


def test_completions_are_where_the_shells_look(installation: Installation) -> None:
    share = "/usr/local/share"
    file = f"{share}/bash-completion/completions/sparkctl"
    line = "COMP_LINE='sparkctl load sm' COMP_POINT=16"
    ask = f'. {file}; {line}; _sparkd_complete sparkctl; echo "${{COMPREPLY[@]}}"'
    assert installation.lab.run("bash", "-c", ask).stdout == "smollm2-135m-instruct\n"
    for other in ("bash-completion/completions/sparkd", "zsh/site-functions/_sparkctl",
                  "fish/vendor_completions.d/sparkctl.fish", "fish/vendor_completions.d/sparkd.fish"):  # fmt: skip
        assert installation.lab.path(f"{share}/{other}").stat().st_size > 1000


def test_a_second_install_changes_nothing_and_restarts_nothing(installation: Installation) -> None:
    installation.catalogue(installation.models())
    installation.lab.run("systemctl", "restart", SERVICE)
    assert installation.chat("a")[0] == 200
    before = files(installation.lab), installation.key, installation.pid(), installation.engine_pid("a")
    installation.install()
    assert (
        files(installation.lab),
        installation.key,
        installation.pid(),
        installation.engine_pid("a"),
    ) == before


def test_an_upgrade_keeps_models_and_replaces_an_unchanged_catalogue(
    installation: Installation,
) -> None:
    before, running = (installation.pid(), installation.engine_pid("a")), current(installation)
    output = installation.install(
        source=change_source(installation, "newer", "models.toml", "Instruct:", "Instruct, newer:")
    ).stdout
    assert "Replacing /etc/sparkd/models.toml" in output
    assert "newer:" in installation.lab.path("/etc/sparkd/models.toml").read_text()
    assert not installation.lab.path("/etc/sparkd/models.toml.new").exists()
    assert "restarting" not in output
    assert (installation.pid(), installation.engine_pid("a")) == before
    assert current(installation) != running
    assert (
        f"{current(installation)}/bin/"
        in installation.lab.path(f"/proc/{installation.pid()}/cmdline").read_text()
    )
    assert installation.chat("a")[0] == 200


def test_a_changed_default_is_written_beside_a_catalogue_that_the_owner_changed(
    installation: Installation,
) -> None:
    catalogue = installation.lab.path("/etc/sparkd/models.toml")
    catalogue.write_text(catalogue.read_text() + "# mine\n")
    newest = change_source(installation, "newest", "models.toml", "Instruct:", "Instruct, newest:")
    assert (
        "diff /etc/sparkd/models.toml /etc/sparkd/models.toml.new"
        in installation.install(source=newest).stdout
    )
    assert "newest:" in installation.lab.path("/etc/sparkd/models.toml.new").read_text()
    assert catalogue.read_text().endswith("# mine\n")
    assert "models.toml.new" not in installation.install(source=newest).stdout, "reported once"


def test_a_socket_with_connections_in_it_stays_open(installation: Installation) -> None:
    unit = installation.lab.path(f"{current(installation)}/units/sparkd.socket")
    text = unit.read_text()
    number = installation.lab.show("sparkd.socket", "InvocationID")
    unit.write_text(text.replace("Backlog=4096", "Backlog=2048"))
    output = installation.install(source="/tmp/newest").stdout
    assert "sparkd.socket has changed. It stays open" in output
    assert installation.lab.show("sparkd.socket", "InvocationID") == number
    installation.lab.run("systemctl", "stop", SERVICE)
    unit.write_text(text)
    assert "sparkd.socket has changed. Opening it again" in installation.install(source="/tmp/newest").stdout
    assert installation.lab.show("sparkd.socket", "InvocationID") != number
    assert installation.chat("a")[0] == 200


def test_a_socket_at_another_address_is_opened_there(installation: Installation) -> None:
    unit = installation.lab.path(f"{current(installation)}/units/sparkd.socket")
    text = unit.read_text()
    unit.write_text(text.replace("127.0.0.1:8009", "127.0.0.1:8010"))
    assert "sparkd.socket has a new address" in installation.install(source="/tmp/newest").stdout
    assert installation.lab.run("curl", "-s", "127.0.0.1:8010/v1/models").stdout
    unit.write_text(text)
    assert "sparkd.socket has a new address" in installation.install(source="/tmp/newest").stdout
    assert installation.lab.run("curl", "-s", "127.0.0.1:8010/v1/models", check=False).returncode == 7
    assert installation.chat("a")[0] == 200


# Upgrades that fail -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("how", ["fails", "kills"])
def test_no_matter_which_step_fails_a_sparkd_answers_and_the_next_run_finishes(
    installation: Installation, how: str
) -> None:
    """From a version to the previous one, which is already built, and back."""
    folder = installation.lab.path("/tmp/faulty")
    folder.mkdir(exist_ok=True)
    for command in COMMANDS:
        (folder / command).write_text(FAULTY)
        (folder / command).chmod(0o755)
    path = "/tmp/faulty:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    source, other = ("/tmp/newer", "/tmp/newest") if how == "fails" else ("/tmp/newest", "/tmp/newer")
    step, untouched = 1, False
    while not untouched:
        running = current(installation)
        (folder / "plan").write_text(f"0 {step} {how}\n")
        ran = installation.lab.run(
            f"{source}/install.sh", "--wheels", "/srv/lab/wheels", check=False, PATH=path
        )
        output = f"step {step}: {ran.stdout}{ran.stderr}"
        assert is_answering(installation), output
        untouched = int((folder / "plan").read_text().split()[0]) < step
        if ran.returncode == 0:
            source, other = other, source
        elif how == "fails":
            assert (current(installation), list_leftovers(installation)) == (running, ""), output
        step += 8
    assert ran.returncode == 0
    assert step > 50
    assert list_leftovers(installation) == ""
    assert installation.chat("a")[0] == 200


def test_a_version_that_cannot_be_built_leaves_the_old_one_alone(installation: Installation) -> None:
    assert installation.chat("a")[0] == 200
    before = installation.pid(), installation.engine_pid("a"), files(installation.lab)
    broken = change_source(
        installation, "unbuilt", "requirements.lock", "anyio==", "no-such-package-anywhere=="
    )
    assert installation.install(source=broken, check=False).returncode != 0
    assert (installation.pid(), installation.engine_pid("a"), files(installation.lab)) == before


def test_a_full_disk_leaves_the_old_one_alone(installation: Installation) -> None:
    lab, versions = installation.lab, "/opt/sparkd/versions"
    before = installation.pid(), installation.engine_pid("a"), files(lab)
    source = change_source(installation, "unfitting", "models.toml", "Instruct:", "Instruct, too large:")
    lab.run("mkdir", "/tmp/small", "/tmp/lie")
    lab.run("mount", "-t", "tmpfs", "-o", "size=100%", "small", "/tmp/small")
    lab.run("cp", "-a", f"{versions}/.", "/tmp/small")
    used = int(lab.run("df", "--output=used", "/tmp/small").stdout.split()[-1])
    lab.run("mount", "-o", f"remount,size={used + 40000}k", "/tmp/small")
    lab.run("mount", "--bind", "/tmp/small", versions)
    # install.sh checks for free space. Here the disk fills up after that check.
    lab.path("/tmp/lie/df").write_text("#!/bin/sh\necho 99999999\n")
    lab.path("/tmp/lie/df").chmod(0o755)
    install = [f"{source}/install.sh", "--wheels", "/srv/lab/wheels"]
    ran = lab.run(*install, check=False, PATH="/tmp/lie:/usr/sbin:/usr/bin:/sbin:/bin")
    lab.run("umount", versions)
    assert ran.returncode != 0
    assert "No space left on device" in ran.stderr
    assert (installation.pid(), installation.engine_pid("a"), files(lab)) == before


def test_after_an_installer_is_killed_while_it_builds_the_next_one_finishes(
    installation: Installation,
) -> None:
    source = change_source(installation, "killed", "models.toml", "Instruct:", "Instruct, killed:")
    install = installation.lab.command_inside(f"{source}/install.sh", "--wheels", "/srv/lab/wheels")
    running = current(installation)
    with subprocess.Popen(install, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as building:
        begun = installation.lab.path("/opt/sparkd/versions")
        folders = set(begun.iterdir())
        installation.lab.wait_until(
            "it is building", lambda: any((new / "bin/pip").exists() for new in {*begun.iterdir()} - folders)
        )
        building.kill()
    installation.lab.run("sh", "-c", "kill -KILL $(pgrep -f [/]killed/install.sh)", check=False)
    assert current(installation) == running
    assert installation.chat("a")[0] == 200
    installation.lab.wait_until(
        "the program that it had started has ended, and with it the lock",
        lambda: (
            installation.lab.run("flock", "--nonblock", "/opt/sparkd", "true", check=False).returncode == 0
        ),
        seconds=120,
    )
    installation.install(source=source)
    assert current(installation) != running
    assert installation.chat("a")[0] == 200


def test_a_version_that_does_not_start_is_replaced_by_the_old_one(installation: Installation) -> None:
    assert installation.chat("a")[0] == 200
    running = current(installation)
    start = (
        "    if arguments.check_handover is not None:",
        "    return 3\n    if arguments.check_handover is not None:",
    )
    broken = change_source(installation, "unstarted", "sparkd/daemon.py", *start)
    ran = installation.install(source=broken, check=False)
    assert ran.returncode != 0
    assert "Could not replace the running daemon, so restarting it" in ran.stdout
    assert "restoring the old version" in ran.stderr
    assert current(installation) == running
    assert installation.chat("a")[0] == 200


# Uninstall --------------------------------------------------------------------------------------------------------


def test_an_uninstall_leaves_only_what_it_reports(installation: Installation) -> None:
    assert installation.chat("a")[0] == 200
    kept = {path for path in files(installation.lab) if path.startswith(("/etc/sparkd", "/var/lib/sparkd"))}
    output = installation.install("--uninstall").stdout
    assert (
        "Kept: /etc/sparkd (configuration, keys), /var/lib/sparkd (models, logs), the user sparkd" in output
    )
    assert installation.list_processes() == []
    left = {
        path
        for path in files(installation.lab) - installation.before
        if not path.startswith("/var/lib/sparkd/")
    }
    assert left <= kept | USER_FILES
    assert "/etc/sparkd/models.d/lab.toml" in kept & files(installation.lab)
    assert installation.before <= files(installation.lab)
    assert installation.lab.show(SERVICE, "LoadState")["LoadState"] == "not-found"


def test_an_install_uses_the_files_that_an_uninstall_kept(installation: Installation) -> None:
    key, catalogue = installation.key, installation.lab.path("/etc/sparkd/models.toml").read_text()
    output = installation.install().stdout
    assert "random API key" not in output
    assert (installation.key, installation.lab.path("/etc/sparkd/models.toml").read_text()) == (
        key,
        catalogue,
    )
    assert installation.chat("a")[0] == 200


def test_a_purge_leaves_nothing(installation: Installation) -> None:
    installation.lab.path("/etc/systemd/system/sparkd.service.d").mkdir()
    installation.install("--uninstall", "--purge")
    assert files(installation.lab) - installation.before <= USER_FILES
    assert installation.before <= files(installation.lab)
    assert installation.lab.run("getent", "passwd", "sparkd", check=False).returncode == 2


def test_a_package_can_be_built_without_changing_the_machine(boot: Boot) -> None:
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
    matches = installed.lab.run("grep", "-rlF", "/tmp/package", "/opt/other", check=False)
    assert matches.stdout == ""
    installed.lab.run("rm", "-r", "/opt/other")
    installed.lab.run(
        "env", "DESTDIR=/tmp/package", "/srv/lab/sparkd/install.sh", "--purge", "--prefix", "/opt/other"
    )
    assert installed.lab.run("find", "/tmp/package", "-type", "f").stdout == ""
