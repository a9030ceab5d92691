"""Reads the files that have a chat template. Only for the process that renders it: parsing them takes imports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from sparkd.catalog.quantities import MIB
from sparkd.errors import ModelNotAdded
from sparkd.guessing.facts import JsonObject
from sparkd.guessing.files import FILE_LIMITS, TOKENIZER, find_template, parse_table
from sparkd.templates.locations import FILES, TemplateLocation

LARGEST_TEMPLATE: Final = MIB

_TOKENS: Final = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")


class LoadedTemplate(Struct, frozen=True):
    """The text of a chat template, and the special tokens by name, which it may print."""

    text: str
    tokens: Mapping[str, str] = {}


def load_template(location: TemplateLocation) -> LoadedTemplate | None:
    """Load a chat template. None if there is none, or none that can be read."""
    try:
        texts = _read_files(Path(location.folder))
        tokenizer = parse_table(TOKENIZER, texts)
        text = _load_given(location.given) if location.given else find_template(tokenizer, texts)
    except (OSError, ModelNotAdded, UnicodeDecodeError):
        return None
    return LoadedTemplate(text, _find_tokens(tokenizer)) if text else None


def _read_files(folder: Path) -> dict[str, bytes]:
    paths = [folder / name for name in FILES]
    return {
        path.name: path.read_bytes()
        for path in paths
        if path.is_file() and path.stat().st_size <= FILE_LIMITS[path.name]
    }


def _load_given(given: str) -> str | None:
    """The value of vLLM's `--chat-template`: a path, or the template itself."""
    if "{" in given:
        return given
    path = Path(given)
    return path.read_text() if path.is_file() and path.stat().st_size <= LARGEST_TEMPLATE else None


def _find_tokens(tokenizer: JsonObject) -> dict[str, str]:
    """Special tokens: each is a text, or an object with its text in `content`."""
    found = {}
    for name in _TOKENS:
        value: Any = tokenizer.values.get(name)
        if isinstance(value, dict):
            value = value.get("content")
        if isinstance(value, str):
            found[name] = value
    return found
