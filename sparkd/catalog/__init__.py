"""The catalogue: what may run, from `models.toml`, `models.d/*.toml` and `venvs/*/runtime.toml`.

definitions     models and runtimes as frozen types; TOML keys, JSON Schema and docs/configuration.md follow from them
settings        so are the settings
labels          and what people and their programs are told about a model: status, tags, limits of clients
quantities      sizes, durations, counts and places, which the types are made of
documents       which files there are, and what TOML says in each
conversion      one value: from what TOML has to what the definitions want
tables          one table, key by key, so that every wrong key is told
layers          the catalogue and its drop-ins, and what models inherit, laid over each other
checks          what must hold between keys, models and runtimes
reading         all of these in order: `read_catalogue`
catalogue       what comes out: `Catalogue`
drop_ins        writes a drop-in, never one that would break the catalogue
locations       where the catalogue and the control socket are
schema          writes the JSON Schema
reference       writes the tables of docs/configuration.md
rewriting       the table that says how the requests of a model are mended
wording, nearest, names, sizes, addresses    small rules the others share
"""

from sparkd.catalog.catalogue import Catalogue
from sparkd.catalog.reading import read_catalogue

__all__ = ["Catalogue", "read_catalogue"]
