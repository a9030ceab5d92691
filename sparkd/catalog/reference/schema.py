"""The JSON Schemas of the catalogue's files, for editors: `python -m sparkd.catalog.reference.schema` writes them.

Draft 7, because the TOML plugins of editors support it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from msgspec import NODEFAULT, Struct, inspect

from sparkd.catalog.choices import ChoiceTable
from sparkd.catalog.definitions import Model
from sparkd.catalog.messages import unwrap_type
from sparkd.catalog.names import ID_PATTERN, LONGEST_NAME
from sparkd.catalog.reading.conversion import Key, keys_of
from sparkd.catalog.reading.layers import (
    CHANGES,
    CHOICES,
    CLIENTS,
    FAMILIES,
    FORBIDDEN_KEYS,
    KEYS,
    MODELS,
    RUNTIMES,
)
from sparkd.catalog.reading.tables import NAMED, SETTINGS
from sparkd.catalog.runtime import Runtime
from sparkd.catalog.settings import Defaults
from sparkd.catalog.sizes import PATTERN, format_size

DRAFT = "http://json-schema.org/draft-07/schema#"
DOCS = Path(__file__).parents[3] / "docs"

Json = dict[str, Any]

_plain: dict[type[inspect.Type], str] = {
    inspect.BoolType: "boolean",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.StrType: "string",
}
_units = {"bytes": ' In bytes, or a size such as "20 GiB".', "seconds": " In seconds."}


def catalogue_schema() -> Json:
    """The schema of `models.toml` and its drop-ins."""
    names = {"pattern": f"^{ID_PATTERN}$", "maxLength": LONGEST_NAME}
    models = {
        "type": "object",
        "propertyNames": names,
        "additionalProperties": {"$ref": "#/definitions/model"},
    }
    tables: Json = {name: _table_schema(struct) for name, struct in SETTINGS.items()}
    tables[MODELS] = {**models, "description": "Models that clients can name, by id."}
    tables[CHANGES] = {**models, "description": "Keys of models that are defined in an earlier file, by id."}
    for kind, whose in ((RUNTIMES, "that run in a runtime"), (FAMILIES, "of a family")):
        tables[kind] = {
            **models,
            "additionalProperties": _defaults_schema(FORBIDDEN_KEYS[kind]),
            "description": f"Keys for the models {whose} that do not set them themselves, by its name.",
        }
    tables[CHOICES] = _key_schema(keys_of(ChoiceTable)[CHOICES])
    for kind, what in (
        (KEYS, "Rights and limits of API keys"),
        (CLIENTS, "How client programs are recognized and treated"),
    ):
        tables[kind] = {
            "type": "object",
            "additionalProperties": _table_schema(NAMED[kind]),
            "description": f"{what}, by name.",
        }
    return {
        "$schema": DRAFT,
        "title": "Catalogue of sparkd",
        "type": "object",
        "properties": tables,
        "additionalProperties": False,
        "definitions": {"model": _table_schema(Model)},
    }


def runtime_schema() -> Json:
    """The schema of `runtime.toml`."""
    return {"$schema": DRAFT, "title": "Runtime of sparkd", **_table_schema(Runtime)}


def _defaults_schema(forbidden: Collection[str]) -> Json:
    shared = {name: {"$ref": f"#/definitions/model/properties/{name}"} for name in keys_of(Model)}
    return {
        "type": "object",
        "properties": {name: key for name, key in shared.items() if name not in forbidden},
        "additionalProperties": False,
    }


def _table_schema(struct: type[Struct]) -> Json:
    keys = keys_of(struct)
    needed = [
        name for name, key in keys.items() if key.default is NODEFAULT and name not in keys_of(Defaults)
    ]
    return {
        "type": "object",
        "description": struct.__doc__,
        "properties": {name: _key_schema(key) for name, key in keys.items()},
        "additionalProperties": False,
        **({"required": needed} if needed else {}),
    }


def _key_schema(key: Key) -> Json:
    schema = _value_schema(inspect.type_info(key.type))
    schema["description"] = key.description + _units.get(key.unit or "", "")
    if (
        key.default is not NODEFAULT
        and key.default not in (None, (), {}, "")
        and not isinstance(key.default, Struct)
    ):
        schema["default"] = format_size(key.default) if key.unit == "bytes" else key.default
    return schema


def _value_schema(info: inspect.Type) -> Json:
    info, unit = unwrap_type(info)
    match info:
        case inspect.LiteralType():
            schema: Json = {"enum": list(info.values)}
        case inspect.AnyType():
            schema = {}
        case inspect.StructType():
            schema = _table_schema(info.cls)
        case inspect.VarTupleType():
            schema = {"type": "array", "items": _value_schema(info.item_type)}
        case inspect.DictType():
            schema = {"type": "object", "additionalProperties": _value_schema(info.value_type)}
        case inspect.UnionType():
            schema = {"anyOf": [_value_schema(part) for part in info.types]}
        case inspect.StrType() if info.pattern:
            schema = {"type": "string", "pattern": info.pattern}
        case inspect.IntType() | inspect.FloatType() if info.ge is not None:
            schema = {"type": _plain[type(info)], "minimum": info.ge, "maximum": info.le}
        case _:
            schema = {"type": _plain[type(info)]}
    return {**schema, "type": ["integer", "string"], "pattern": PATTERN} if unit == "bytes" else schema


def render_files() -> dict[Path, str]:
    """The files that this module writes, and their contents."""
    schemas = {"models.schema.json": catalogue_schema(), "runtime.schema.json": runtime_schema()}
    return {DOCS / name: json.dumps(schema, indent=2) + "\n" for name, schema in schemas.items()}


if __name__ == "__main__":
    for path, text in render_files().items():
        path.write_text(text)
