"""Fixtures: sparkd, installed by install.sh in a booted systemd."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.warm_runtime import WarmRuntime
from tests.lab import Lab
from tests.lab.lab import TREE
from tests.systemd.installation import BAD_ENGINE, CLONE, Installation

PYTHON = "/usr/bin/python3"
"""The Python that install.sh finds in a lab. Every user may run it."""

LOCKS = ("requirements-build.lock", "requirements.lock")


@pytest.fixture(scope="session")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what a lab needs, because it has no network: packages, sparkd's sources, bad engine."""
    folder = tmp_path_factory.mktemp("lab")
    folder.chmod(0o755)
    subprocess.run([PYTHON, "-m", "venv", str(folder / "pip")], check=True)
    pip = [str(folder / "pip" / "bin" / "pip"), "--disable-pip-version-check"]
    ask = [PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    version = subprocess.run(
        ["chroot", str(TREE), *ask], check=True, capture_output=True, text=True
    ).stdout.strip()
    wheels = ["download", "--quiet", "--quiet", "--dest", str(folder / "wheels"), "--no-deps"]
    wheels += ["--only-binary", ":all:", "--no-binary", "sdnotify", "--python-version", version]
    wheels += ["--require-hashes"]
    for lock in LOCKS:
        wheels += ["--requirement", str(CLONE / lock)]
    subprocess.run([*pip, *wheels], check=True, cwd=folder)
    tracked = [
        "install.sh",
        "sparkd",
        "units",
        "venvs",
        "pyproject.toml",
        *LOCKS,
        "models.toml",
        "scripts",
    ]
    sources = [*tracked, "README.md", "LICENSE"]
    copy = ["cp", "--recursive", "--parents", *sources, str(folder / "sparkd")]
    (folder / "sparkd").mkdir()
    subprocess.run(copy, check=True, cwd=CLONE)
    (folder / "bad_engine.py").write_bytes(BAD_ENGINE.read_bytes())
    WarmRuntime(folder / "warm", PYTHON)
    return folder


@pytest.fixture(scope="session")
def boot(share: Path) -> Iterator[Callable[[], Installation]]:
    """Return a function that boots a new lab. All labs are shut down at the end."""
    labs: list[Lab] = []

    def boot_lab() -> Installation:
        lab = Lab(share)
        labs.append(lab.__enter__())
        return Installation(lab)

    yield boot_lab
    for lab in labs:
        lab.shut_down()


@pytest.fixture(scope="session")
def machine(boot: Callable[[], Installation]) -> Installation:
    """Return an installation that tests share, with models that the bad engine serves."""
    installed = boot()
    installed.install()
    installed.catalogue(installed.models())
    return installed


@pytest.fixture
def sparkd(machine: Installation) -> Installation:
    """Return the shared installation, with open sockets and nothing running."""
    machine.reset()
    return machine
