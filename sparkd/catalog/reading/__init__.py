"""Reads the catalogue from `models.toml`, `models.d/*.toml` and `venvs/*/runtime.toml`.

documents       which files there are, and what TOML says in each
conversion      one value: from what TOML has to what the definitions want
tables          one table, key by key, so that every wrong key is reported
layers          the catalogue and its drop-ins, and what models inherit, merged
checks          rules between keys, between models, and between models and runtimes
catalogue       all of these in order: `read_catalogue`
drop_ins        writes a drop-in, never one that would break the catalogue
locations       where the catalogue is
"""

from sparkd.catalog.reading.catalogue import read_catalogue, read_paths, read_with

__all__ = ["read_catalogue", "read_paths", "read_with"]
