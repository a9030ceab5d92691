"""Reads the catalogue from `models.toml`, `models.d/*.toml` and `venvs/*/runtime.toml`.

documents       finds the files and parses their TOML
conversion      converts one value from TOML to the type in the definitions
tables          reads one table, key by key, so that every wrong key is reported
layers          merges the catalogue, its drop-ins, and what models inherit
checks          checks rules between keys, between models, and between models and runtimes
catalogue       does all of this in order: `read_catalogue`
replacing       replaces files whole, one process at a time
drop_ins        writes a drop-in, unless it would break the catalogue
locations       finds the catalogue
"""

from sparkd.catalog.reading.catalogue import read_catalogue, read_paths, read_with_overrides

__all__ = ["read_catalogue", "read_paths", "read_with_overrides"]
