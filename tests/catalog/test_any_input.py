"""Any content of the files leads to a catalogue or to a list of problems, one line each."""

import datetime
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from sparkd.catalog.definitions import Model
from sparkd.catalog.labels import ClientLimits, Clients
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.conversion import keys_of
from sparkd.catalog.reading.drop_ins import write_drop_in
from sparkd.catalog.reading.layers import FAMILIES, RUNTIMES, TABLES
from sparkd.catalog.reading.tables import SETTINGS
from sparkd.catalog.rewriting import Rewriting
from sparkd.catalog.runtime import Runtime
from tests.catalog.folder import Folder

STRUCTS = (*SETTINGS.values(), Model, Rewriting, Clients, ClientLimits, Runtime)
NAMES = [
    *TABLES,
    *(key for struct in STRUCTS for key in keys_of(struct)),
    *(
        "cpu",
        "vllm",
        "command",
        "wait",
        "utility",
        "org/model",
        "./x",
        "~",
        "20 GiB",
        "20G",
        "1.2.3.4:5",
        "{port}",
        "a.b",
        "",
    ),
]
TEXTS = st.sampled_from(NAMES) | st.text(max_size=8)
SCALARS = (
    TEXTS
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.dates()
    | st.times()
    | st.datetimes(timezones=st.just(datetime.UTC) | st.none())
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(TEXTS, VALUES, max_size=4) | st.fixed_dictionaries(
    {},
    optional={
        **{
            name: st.dictionaries(st.sampled_from(list(keys_of(SETTINGS[name]))), SCALARS)
            for name in SETTINGS
        },
        "models": st.dictionaries(TEXTS, st.dictionaries(st.sampled_from(list(keys_of(Model))), VALUES)),
        **{
            kind: st.dictionaries(TEXTS, st.dictionaries(st.sampled_from(list(keys_of(Model))), VALUES))
            for kind in (RUNTIMES, FAMILIES)
        },
        "changes": st.dictionaries(TEXTS, st.dictionaries(st.sampled_from(list(keys_of(Model))), VALUES)),
    },
)


@contextmanager
def temporary_folder() -> Iterator[Folder]:
    with tempfile.TemporaryDirectory() as path:
        yield Folder(Path(path))


def check(folder: Folder) -> None:
    for problem in folder.problems():
        assert len(problem.splitlines()) == 1
        assert problem.startswith(("models.toml: ", "models.d/a.toml: ", "venvs/cpu/runtime.toml: "))


@settings(deadline=None)
@given(st.binary())
def test_random_bytes(data: bytes) -> None:
    with temporary_folder() as folder:
        folder.write("models.toml", data)
        folder.write("venvs/cpu/runtime.toml", data)
        check(folder)


@settings(deadline=None)
@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_random_tables(first: dict[str, Any], second: dict[str, Any], runtime: dict[str, Any]) -> None:
    with temporary_folder() as folder:
        folder.write("models.toml", tomli_w.dumps(first))
        folder.write("models.d/a.toml", tomli_w.dumps(second))
        folder.write("venvs/cpu/runtime.toml", tomli_w.dumps(runtime))
        check(folder)


IDS = st.from_regex(r"m[A-Za-z0-9._:-]{0,10}", fullmatch=True)
PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10)
SECONDS = st.floats(0, 1e9)
OPTION = PLAIN | st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
FLAGS = st.from_regex(r"[a-z][a-z_-]{0,8}", fullmatch=True)
MODELS = st.fixed_dictionaries(
    {"runtime": st.just("cpu"), "source": st.sampled_from(["org/model", "/srv/model"])},
    optional={
        "description": PLAIN,
        "context_length": st.integers(1, 2**31 - 1),
        "memory": st.integers(0, 2**60) | st.sampled_from(["20 GiB", "1.5 TB"]),
        "lifecycle": st.sampled_from(["normal", "exclusive"]),
        "status": st.sampled_from(["validated", "experimental", "manual"]),
        "tags": st.lists(st.sampled_from(["chat", "code", "long-context"]), max_size=3),
        "clients": st.fixed_dictionaries({}, optional={"cline": st.just({"context": 4096, "output": 2})}),
        "pinned": st.booleans(),
        "options": st.dictionaries(FLAGS, OPTION | st.lists(OPTION, max_size=3)),
        "environment": st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True), PLAIN),
        "idle_timeout": SECONDS | st.integers(0, 10**9),
        "min_residency": SECONDS,
        "rewriting": st.fixed_dictionaries(
            {},
            optional={
                "set": st.dictionaries(PLAIN, OPTION | st.lists(OPTION, max_size=3), max_size=2),
                "margin": st.integers(0, 2**31 - 1),
                "tools": st.sampled_from(["pass", "strip", "require"]),
            },
        ),
    },
)


@settings(deadline=None)
@given(st.dictionaries(IDS, MODELS, max_size=4), st.fixed_dictionaries({}, optional={"max_wait": SECONDS}))
def test_every_good_catalogue_is_the_same_when_it_is_written_and_read_again(
    models: dict[str, Any], queue: dict[str, Any]
) -> None:
    with temporary_folder() as folder:
        written = write_drop_in(folder.catalogue, "all", {"models": models, "queue": queue})
        again = {id_: to_table(model) for id_, model in written.models.items()}
        rewritten = write_drop_in(folder.catalogue, "all", {"models": again, "queue": queue})
        assert rewritten.models == written.models == read_catalogue(folder.catalogue).models
        assert rewritten.settings == written.settings
        assert set(written.models) == set(models)


def to_table(struct: Struct) -> dict[str, Any]:
    given = {name: value for name in keys_of(type(struct)) if (value := getattr(struct, name)) is not None}
    return {name: to_table(value) if isinstance(value, Struct) else value for name, value in given.items()}
