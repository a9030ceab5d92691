"""192 requests with what the predecessor's validator made of each: its rules on 32 of its models.

All come out equal, without an exception. Where the predecessor is wrong none of these requests gets; what is mended
there has tests of its own in this folder. The hints for tools are not among them.
"""

import gzip
import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from sparkd.catalog.definitions import Model
from sparkd.catalog.rewriting import Rewriting
from sparkd.catalog.templates import Template
from sparkd.rewriting import RewriteContext
from tests.rewriting.examples import model, rewrite_to_dict

FOLDER = Path(__file__).parent / "vectors"
VECTORS: list[dict[str, Any]] = json.loads(gzip.decompress((FOLDER / "request-fixups.json.gz").read_bytes()))


def models() -> dict[str, Model]:
    tables = tomllib.loads((FOLDER / "models.toml").read_text())["models"]
    return {
        id_: model(id_, **table | structs.asdict(msgspec.convert(table.pop("rewriting"), Rewriting)))
        for id_, table in tables.items()
    }


MODELS = models()

PASSING = Template(
    system="anywhere", developer=True, needs_user=False, empty_assistant=True, null_content=True
)
"""The predecessor left system messages, and turns that say nothing, to the chat template."""


@pytest.mark.parametrize("number", range(len(VECTORS)))
def test_a_request_comes_out_as_it_did(number: int) -> None:
    vector = VECTORS[number]
    context = RewriteContext(MODELS[vector["model"]], template=PASSING)
    assert rewrite_to_dict(vector["request"], context) | {"model": vector["model"]} == vector["expected"]


def test_there_are_as_many_as_there_were() -> None:
    assert len(VECTORS) == 192
    assert {vector["model"] for vector in VECTORS} == MODELS.keys()
