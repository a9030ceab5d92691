"""192 requests with what the predecessor's validator made of each: all of its rules on 32 of its models."""

import gzip
import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sparkd.catalog.definitions import Model
from sparkd.catalog.rewriting import Rewriting
from sparkd.rewriting import Case
from tests.rewriting.subjects import mended, model

FOLDER = Path(__file__).parent / "vectors"
VECTORS: list[dict[str, Any]] = json.loads(gzip.decompress((FOLDER / "request-fixups.json.gz").read_bytes()))

EXCEPTIONS: dict[int, str] = {}
"""Vectors that come out otherwise, and why."""


def models() -> dict[str, Model]:
    tables = tomllib.loads((FOLDER / "models.toml").read_text())["models"]
    return {
        id_: model(id_, **table | msgspec.to_builtins(msgspec.convert(table.pop("rewriting"), Rewriting)))
        for id_, table in tables.items()
    }


MODELS = models()


@pytest.mark.parametrize("number", [n for n in range(len(VECTORS)) if n not in EXCEPTIONS])
def test_a_request_comes_out_as_it_did(number: int) -> None:
    vector = VECTORS[number]
    case = Case(MODELS[vector["model"]])
    assert mended(vector["request"], case) | {"model": vector["model"]} == vector["expected"]
