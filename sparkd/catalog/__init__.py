"""The catalogue: what may run, as frozen types.

definitions     models and runtimes; TOML keys, JSON Schema and docs/configuration.md are derived from them
settings        everything in the catalogue that is not a model
rewriting       the table that says how the requests of a model are rewritten
labels          status, tags and client limits of a model
choices         names that stand for several models
quantities      sizes, durations, counts and paths, which the types are made of
steps           what a runtime builds from source
catalogue       `Catalogue`: models, runtimes and settings, found by name
origins         which file set a value
ranking         the best models for a task
reading/        files, layers and checks: how a catalogue is read, and how drop-ins are written
reference/      the JSON Schema, the tables in docs/ and clients' configurations, generated from the types
messages        the text of problems
generated       replaces the generated part of a page in docs/
`nearest`, `names`, `sizes` and `addresses` are small rules that the others share
"""

from sparkd.catalog.catalogue import Catalogue

__all__ = ["Catalogue"]
