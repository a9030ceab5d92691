"""Where the catalogue is, and where it puts the run directory.

The daemon and sparkctl both ask here, so they cannot disagree.
"""

from __future__ import annotations

import os
from pathlib import Path

from sparkd.catalog.reading.catalogue import read_paths
from sparkd.errors import CatalogueError

CATALOGUE_VARIABLE = "SPARKD_CATALOGUE"
PLACES = (Path("models.toml"), Path("/etc/sparkd/models.toml"))


def catalogue_path(given: str | None) -> Path:
    """The catalogue to read: the one given, else `SPARKD_CATALOGUE`, else the first of PLACES that is there.

    Raises CatalogueError when nothing was named and there is none at the usual places. One that was named is
    not looked at: reading it tells better what is wrong.
    """
    named = given or os.environ.get(CATALOGUE_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    for place in PLACES:
        if place.is_file():
            return place.absolute()
    looked = " nor ".join(str(place.absolute()) for place in PLACES)
    problem = f"There is no catalogue: neither {looked}; name one with --catalogue or {CATALOGUE_VARIABLE}."
    raise CatalogueError([problem])


def run_folder(catalogue: Path) -> Path:
    """`paths.run` of the catalogue and its drop-ins, absolute, with nothing else of them looked at.

    An operator who has just broken a model's entry can still reach the daemon, which runs the entries it read.
    Raises CatalogueError when the file cannot be read or is not TOML.
    """
    return Path(read_paths(catalogue).run)
