"""The JSON Schemas of the catalogue's files, for editors: `python -m sparkd.catalog.reference.schema` writes them.

Draft 7, because that is what editors' TOML plugins read.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from msgspec import NODEFAULT, Struct, inspect

from sparkd.catalog.definitions import Model, Runtime
from sparkd.catalog.names import ID_PATTERN, LONGEST_NAME
from sparkd.catalog.reading.conversion import Key, keys_of
from sparkd.catalog.reading.layers import CHANGES, FAMILIES, MODELS, REFUSED, RUNTIMES
from sparkd.catalog.reading.tables import SETTINGS
from sparkd.catalog.settings import Defaults
from sparkd.catalog.sizes import PATTERN, size_text
from sparkd.catalog.wording import bare

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
    """Of `models.toml` and of its drop-ins."""
    names = {"pattern": f"^{ID_PATTERN}$", "maxLength": LONGEST_NAME}
    models = {
        "type": "object",
        "propertyNames": names,
        "additionalProperties": {"$ref": "#/definitions/model"},
    }
    tables: Json = {name: _table(struct) for name, struct in SETTINGS.items()}
    tables[MODELS] = {**models, "description": "Models that clients can name, by id."}
    tables[CHANGES] = {**models, "description": "Keys of models that are defined in an earlier file, by id."}
    for kind, whose in ((RUNTIMES, "that run in a runtime"), (FAMILIES, "of a family")):
        tables[kind] = {
            **models,
            "additionalProperties": _defaults(REFUSED[kind]),
            "description": f"What models {whose} have where they say nothing themselves, by its name.",
        }
    return {
        "$schema": DRAFT,
        "title": "Catalogue of sparkd",
        "type": "object",
        "properties": tables,
        "additionalProperties": False,
        "definitions": {"model": _table(Model)},
    }


def runtime_schema() -> Json:
    """Of a runtime's `runtime.toml`."""
    return {"$schema": DRAFT, "title": "Runtime of sparkd", **_table(Runtime)}


def _defaults(refused: Collection[str]) -> Json:
    shared = {name: {"$ref": f"#/definitions/model/properties/{name}"} for name in keys_of(Model)}
    return {
        "type": "object",
        "properties": {name: key for name, key in shared.items() if name not in refused},
        "additionalProperties": False,
    }


def _table(struct: type[Struct]) -> Json:
    keys = keys_of(struct)
    needed = [
        name for name, key in keys.items() if key.default is NODEFAULT and name not in keys_of(Defaults)
    ]
    return {
        "type": "object",
        "description": struct.__doc__,
        "properties": {name: _key(key) for name, key in keys.items()},
        "additionalProperties": False,
        **({"required": needed} if needed else {}),
    }


def _key(key: Key) -> Json:
    made = _value(inspect.type_info(key.type))
    made["description"] = key.description + _units.get(key.unit or "", "")
    if (
        key.default is not NODEFAULT
        and key.default not in (None, (), {}, "")
        and not isinstance(key.default, Struct)
    ):
        made["default"] = size_text(key.default) if key.unit == "bytes" else key.default
    return made


def _value(info: inspect.Type) -> Json:
    info, unit = bare(info)
    match info:
        case inspect.LiteralType():
            made: Json = {"enum": list(info.values)}
        case inspect.AnyType():
            made = {}
        case inspect.StructType():
            made = _table(info.cls)
        case inspect.VarTupleType():
            made = {"type": "array", "items": _value(info.item_type)}
        case inspect.DictType():
            made = {"type": "object", "additionalProperties": _value(info.value_type)}
        case inspect.UnionType():
            made = {"anyOf": [_value(part) for part in info.types]}
        case inspect.StrType() if info.pattern:
            made = {"type": "string", "pattern": info.pattern}
        case inspect.IntType() | inspect.FloatType() if info.ge is not None:
            made = {"type": _plain[type(info)], "minimum": info.ge, "maximum": info.le}
        case _:
            made = {"type": _plain[type(info)]}
    return {**made, "type": ["integer", "string"], "pattern": PATTERN} if unit == "bytes" else made


def written() -> dict[Path, str]:
    """The files this module writes, and what stands in them."""
    schemas = {"models.schema.json": catalogue_schema(), "runtime.schema.json": runtime_schema()}
    return {DOCS / name: json.dumps(schema, indent=2) + "\n" for name, schema in schemas.items()}


if __name__ == "__main__":
    for path, text in written().items():
        path.write_text(text)
