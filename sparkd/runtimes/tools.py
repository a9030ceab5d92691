"""Finds uv, and builds its environment: wheels, indexes, its cache, and the Python that it must not use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from sparkd.catalog.runtime import Runtime
from sparkd.runtimes.store import CACHE


def find_uv() -> str:
    """The path of the uv that is installed with sparkd."""
    import uv as package  # noqa: PLC0415  # only builds need it, and they run outside the daemon

    return package.find_uv_bin()


def build_environment(root: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment for uv: the inherited one, without variables for another Python, plus the settings of pip.

    pip's settings configure the machine's index: https://pip.pypa.io/en/stable/topics/configuration/
    """
    unwanted = re.compile(r"PYTHON|VIRTUAL_ENV$|CONDA_PREFIX$|UV_PYTHON$|UV_SYSTEM_PYTHON$")
    variables = {name: value for name, value in inherited.items() if not unwanted.match(name)}
    # Beside the builds, so that files are linked and not copied, and no home folder grows.
    variables.setdefault("UV_CACHE_DIR", str(root / CACHE))
    # uv gives up on a file after 60 s, but a busy machine needs longer for a big file.
    variables.setdefault("UV_COMPILE_BYTECODE_TIMEOUT", "600")
    if index := inherited.get("PIP_INDEX_URL"):
        variables.setdefault("UV_DEFAULT_INDEX", index)
    if extra := inherited.get("PIP_EXTRA_INDEX_URL"):
        variables.setdefault("UV_INDEX", extra)
        # pip takes a package from any index that has it; uv would stop at the first index with that name.
        variables.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    if certificates := inherited.get("PIP_CERT"):
        variables.setdefault("SSL_CERT_FILE", certificates)
    return variables


def find_links(runtime: Runtime, inherited: Mapping[str, str]) -> list[str]:
    """Folders and addresses with wheels for `runtime`: those in its definition, and pip's."""
    own = [link if "://" in link else str(runtime.folder / link) for link in runtime.find_links]
    return _existing_links(own) + pip_find_links(inherited)


def pip_find_links(inherited: Mapping[str, str]) -> list[str]:
    """Folders and addresses in PIP_FIND_LINKS. uv does not read that variable."""
    return _existing_links(inherited.get("PIP_FIND_LINKS", "").split())


def _existing_links(links: Sequence[str]) -> list[str]:
    # Like pip, and unlike uv, ignore folders that do not exist.
    return [link for link in links if "://" in link or Path(link).is_dir()]


def has_wheel(links: Sequence[str], name: str, version: str, *tags: str) -> bool:
    """Whether a local folder of `links` has a wheel with that name and version whose tags contain all `tags`."""
    for folder in links:
        for wheel in Path(folder).glob("*.whl"):
            distribution, wheel_version, *rest = unquote(wheel.stem).split("-")
            if (distribution, wheel_version) == (name, version) and all(
                tag in "-".join(rest) for tag in tags
            ):
                return True
    return False
