"""The generated documents are those of today's definitions, and what they say is true."""

import contextlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sparkd.catalog.definitions import IMPLICIT_FIELDS, Model
from sparkd.catalog.labels import ClientLimits, Clients
from sparkd.catalog.quantities import GIB
from sparkd.catalog.reading.conversion import keys_of
from sparkd.catalog.reading.layers import FORBIDDEN_KEYS
from sparkd.catalog.reading.tables import SETTINGS
from sparkd.catalog.reference import keys as reference
from sparkd.catalog.reference import schema
from sparkd.catalog.rewriting import Rewriting
from sparkd.catalog.runtime import Runtime
from sparkd.catalog.sizes import parse_size
from sparkd.errors import ModelDisabled
from tests.catalog.folder import VLLM, Folder

HOUSE = Path(__file__).parents[2]
GUIDE = (HOUSE / "docs/configuration.md").read_text()
STRUCTS = [*SETTINGS.values(), Model, Rewriting, Clients, ClientLimits, Runtime]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def test_the_schemas_are_in_step_with_the_definitions() -> None:
    for path, text in schema.render_files().items():
        assert path.read_text() == text, "run: python -m sparkd.catalog.reference.schema"


def test_the_reference_is_in_step_with_the_definitions() -> None:
    assert reference.render_page() == GUIDE, "run: python -m sparkd.catalog.reference.keys"


@pytest.mark.parametrize("struct", STRUCTS)
def test_every_key_has_its_own_description(struct: type[msgspec.Struct]) -> None:
    assert set(keys_of(struct)) | IMPLICIT_FIELDS >= {field.name for field in msgspec.structs.fields(struct)}
    for key in keys_of(struct).values():
        assert key.description.endswith("."), key.name


def test_the_schema_has_every_key_of_every_table_and_refuses_others() -> None:
    whole = schema.catalogue_schema()
    tables = {name: whole["properties"][name] for name in SETTINGS}
    assert {name: list(table["properties"]) for name, table in tables.items()} == {
        name: list(keys_of(struct)) for name, struct in SETTINGS.items()
    }
    assert list(whole["definitions"]["model"]["properties"]) == list(keys_of(Model))
    for kind, refused in FORBIDDEN_KEYS.items():
        allowed = whole["properties"][kind]["additionalProperties"]["properties"]
        assert set(allowed) == set(keys_of(Model)) - set(refused)
    for table in (*tables.values(), whole["definitions"]["model"], schema.runtime_schema(), whole):
        assert table["additionalProperties"] is False


def test_the_schema_takes_sizes_as_numbers_and_as_text() -> None:
    size = schema.catalogue_schema()["properties"]["server"]["properties"]["max_body"]
    assert size["type"] == ["integer", "string"]
    assert re.search(size["pattern"], "1.5 GiB")
    assert not re.search(size["pattern"], "20G")
    assert parse_size(size["default"]) == 64 * 2**20


def test_the_schema_says_units_bounds_and_choices() -> None:
    queue: dict[str, Any] = schema.catalogue_schema()["properties"]["queue"]["properties"]
    assert queue["max_wait"] == {
        "type": "number",
        "minimum": 0.0,
        "maximum": 1e9,
        "description": "Longest time a request waits for its model. In seconds.",
        "default": 900.0,
    }
    assert queue["on_busy"]["enum"] == ["reject", "wait"]


def test_the_schemas_are_json_that_names_its_draft() -> None:
    for text in schema.render_files().values():
        assert json.loads(text)["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_the_example_model_in_the_guide_has_six_lines_and_works(folder: Folder) -> None:
    own, command, *_ = blocks("toml")
    assert len(own.splitlines()) == 6
    folder.write("models.d/mine.toml", own + command)
    assert list(folder.read("").models) == ["qwen3-0.6b", "llama"]


def test_the_changes_in_the_guide_work_on_the_catalogue_that_is_shipped(folder: Folder) -> None:
    folder.write("models.d/mine.toml", blocks("toml")[2])
    folder.write("models.d/places.toml", f'paths.venvs = "{HOUSE / "venvs"}"')
    catalogue = folder.read((HOUSE / "models.toml").read_text())
    assert catalogue.settings.server.listen == "0.0.0.0:8009"
    assert catalogue.find("small").options["max-num-seqs"] == 4
    assert catalogue.find("small").options["dtype"] == "float32"


def test_the_problems_in_the_guide_have_exactly_that_text(folder: Folder) -> None:
    mistakes = f"""
        [queue]
        on_busy = "wiat"
        [models.tiny]
        {VLLM.replace("cpu", "cpuu")}
        memory = "20G"
        contxt_length = 4096
        [models.qwen2.5-7b]
        {VLLM}
        """
    folder.write("models.d/mine.toml", mistakes)
    with contextlib.chdir(folder.path):
        assert folder.problems() == blocks("text")[1].splitlines()


def test_what_the_guide_says_about_families_and_disabled_models_is_true(folder: Folder) -> None:
    catalogue = folder.read(blocks("toml")[3])
    model = catalogue.models["llama3.2-1b"]
    assert (model.runtime, model.memory) == ("cpu", 2 * GIB)
    assert list(model.options.values()) == [True, 2, "llama3_json"]
    with pytest.raises(ModelDisabled) as refused:
        catalogue.find("llama3.2-1b")
    assert refused.value.message == blocks("text")[0].strip()


def test_the_guide_names_only_files_that_exist() -> None:
    for name in re.findall(r"`(docs/[^`]+)`", GUIDE):
        assert (HOUSE / name.split()[-1]).is_file()
    assert tomllib.loads((HOUSE / "models.toml").read_text())
