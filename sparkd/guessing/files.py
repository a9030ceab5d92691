"""Parses a model's small files into facts. They may contain anything, so each error names its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sparkd.catalog.quantities import LARGEST_SIZE, MIB
from sparkd.errors import ModelNotAdded
from sparkd.guessing.facts import CONFIG, Facts, JsonObject, Weights

INDEX: Final = "model.safetensors.index.json"
BIN_INDEX: Final = "pytorch_model.bin.index.json"
TEMPLATE: Final = "chat_template.jinja"
TEMPLATE_JSON: Final = "chat_template.json"
TOKENIZER: Final = "tokenizer_config.json"
SENTENCE: Final = "sentence_bert_config.json"

FILE_LIMITS: Final[Mapping[str, int]] = {
    CONFIG: 4 * MIB,
    TOKENIZER: 16 * MIB,
    TEMPLATE: 1 * MIB,
    TEMPLATE_JSON: 2 * MIB,
    SENTENCE: 1 * MIB,
    INDEX: 64 * MIB,
    BIN_INDEX: 64 * MIB,
}
"""The files to read, and the most bytes that each may have: several times the size in the largest models."""


def parse_facts(source: str, name: str, texts: Mapping[str, bytes], sizes: Mapping[str, int | None]) -> Facts:
    """The facts in the files. `texts` has the contents of the existing files of WANTED, `sizes` the size in bytes of
    all files of the top folder, None if unknown. Raises ModelNotAdded for invalid JSON or an invalid value."""
    tokenizer = parse_table(TOKENIZER, texts)
    return Facts(
        source=source,
        name=name,
        config=parse_table(CONFIG, texts),
        tokenizer=tokenizer,
        sentence_bert=parse_table(SENTENCE, texts),
        template=find_template(tokenizer, texts),
        files=frozenset(sizes),
        weights=_weights(texts, sizes),
    )


def parse_object(file: str, data: bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises ModelNotAdded."""
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ModelNotAdded(f"{file} is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ModelNotAdded(f"{file} is not JSON: {why}") from error
    if not isinstance(found, dict):
        raise ModelNotAdded(f"{file} is JSON, but not an object")
    return found


def parse_table(file: str, texts: Mapping[str, bytes]) -> JsonObject:
    """Parse one of the files; empty if it does not exist. Raises ModelNotAdded."""
    return JsonObject(file, parse_object(file, texts[file]) if file in texts else {})


def find_template(tokenizer: JsonObject, texts: Mapping[str, bytes]) -> str | None:
    """The chat template in the contents of a model's files, None if there is none. Raises ModelNotAdded.

    `tokenizer` is TOKENIZER, parsed.
    """
    if TEMPLATE in texts:
        return texts[TEMPLATE].decode(errors="replace")
    inside = parse_table(TEMPLATE_JSON, texts).values.get("chat_template") or tokenizer.values.get(
        "chat_template"
    )
    if isinstance(inside, str):
        return inside
    if isinstance(inside, list):  # several templates by name; the one for tools is the most complete
        named = {str(one.get("name")): one.get("template") for one in inside if isinstance(one, dict)}
        found = named.get("tool_use") or named.get("default")
        return found if isinstance(found, str) else None
    return None


def _weights(texts: Mapping[str, bytes], sizes: Mapping[str, int | None]) -> Weights:
    for ending, index in ((".safetensors", INDEX), (".bin", BIN_INDEX)):
        files = {name for name in sizes if name.endswith(ending)}
        if any(name.startswith("model") for name in files):  # the same weights in Mistral's own format
            files = {name for name in files if not name.startswith("consolidated")}
        parts = _parts(index, texts)
        known = [size for name in parts or files if (size := sizes.get(name)) is not None]
        if known and len(known) == len(parts or files):
            return Weights(sum(known), f"{len(known)} {ending} file{'s' if len(known) > 1 else ''}")
        if index in texts:
            total = (
                JsonObject(index, parse_object(index, texts[index]))
                .table("metadata")
                .count("total_size", LARGEST_SIZE)
            )
            if total is not None:
                return Weights(total, f"total_size of {index}")
    return Weights(None)


def _parts(index: str, texts: Mapping[str, bytes]) -> set[str]:
    """The files that an index lists."""
    if index not in texts:
        return set()
    places = JsonObject(index, parse_object(index, texts[index])).table("weight_map").values.values()
    return {place for place in places if isinstance(place, str)}
