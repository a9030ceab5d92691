"""Finds the catalogue and its run directory.

The daemon and sparkctl both use this module, so they cannot disagree.
"""

from __future__ import annotations

import os
from pathlib import Path

from sparkd.catalog.reading.catalogue import read_paths
from sparkd.errors import CatalogueError

CATALOGUE_VARIABLE = "SPARKD_CATALOGUE"
DEFAULT_PATHS = (Path("models.toml"), Path("/etc/sparkd/models.toml"))


def catalogue_path(given: str | None) -> Path:
    """The catalogue to read: the given one, or `SPARKD_CATALOGUE`, or the first of PLACES that exists.

    Raises CatalogueError if none was named and none of PLACES exists. A named catalogue is not checked here, because
    reading it gives a better error message.
    """
    named = given or os.environ.get(CATALOGUE_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    for path in DEFAULT_PATHS:
        if path.is_file():
            return path.absolute()
    looked = " nor ".join(str(path.absolute()) for path in DEFAULT_PATHS)
    problem = (
        f"There is no catalogue: neither {looked} exists. Name one with --catalogue or {CATALOGUE_VARIABLE}."
    )
    raise CatalogueError([problem])


def run_folder(catalogue: Path) -> Path:
    """`paths.run` of the catalogue and its drop-ins, absolute. Nothing else in these files is checked.

    So an operator can still reach the daemon after breaking a model's entry. Raises CatalogueError if the file cannot
    be read or is not TOML.
    """
    return Path(read_paths(catalogue).run)
