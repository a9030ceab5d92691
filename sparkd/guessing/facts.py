"""Facts about a model and the machine, on which guesses are based.

A config.json comes from the network and may contain anything. So every number has bounds, and a number outside them is
reported with its file, key and value instead of leading to an absurd guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sparkd.catalog.messages import format_value
from sparkd.errors import ModelNotAdded

CONFIG: Final = "config.json"
LANGUAGE_MODEL_KEYS: Final = ("text_config", "llm_config", "language_config", "thinker_config")
"""Keys under which multimodal models keep the configuration of their language model."""

NO_WEIGHTS: Final = ("training_args", "optimizer", "scheduler", "rng_state")
"""Prefixes of files that trainers leave beside the weights."""

MAX_TOKENS: Final = 2**31 - 1
MAX_LAYERS: Final = 10_000
MAX_WIDTH: Final = 2**24
"""The limit for layers, heads and vocabularies: a thousand times what exists."""


class JsonObject:
    """A JSON object in a file. Its values are checked when they are read."""

    def __init__(self, file: str, values: Mapping[str, object], prefix: str = "") -> None:
        self.file = file
        self.values = values
        self._prefix = prefix

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def count(self, key: str, most: int = MAX_WIDTH) -> int | None:
        """An integer from 1 to `most`. None if there is none, or for 0 and -1, which mean the same."""
        value = self.values.get(key)
        if isinstance(value, list) and value and all(isinstance(one, int) for one in value):
            value = max(value)  # some models have a value per layer
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is None or value in (0, -1):
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= most:
            raise self.invalid_value(key, f"expected a whole number from 1 to {most}")
        return value

    def first_count(self, keys: Sequence[str], most: int = MAX_WIDTH) -> int | None:
        """The count under the first of these keys that has one, because families use different names."""
        return next((found for key in keys if (found := self.count(key, most)) is not None), None)

    def number(self, key: str, least: float, most: float) -> float | None:
        """A number within bounds."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise self.invalid_value(key, f"expected a number from {least:g} to {most:g}")
        return float(value)

    def text(self, key: str) -> str:
        """A string, empty if there is none."""
        value = self.values.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.invalid_value(key, "expected a string")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.invalid_value(key, "expected a list of strings")
        return tuple(value)

    def table(self, key: str) -> JsonObject:
        """The object under a key, empty if there is none."""
        value = self.values.get(key)
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            raise self.invalid_value(key, "expected an object")
        return JsonObject(self.file, value, f"{self._prefix}{key}.")

    def invalid_value(self, key: str, expected: str) -> ModelNotAdded:
        """The error to raise for an invalid value."""
        value = format_value(self.values.get(key))
        return ModelNotAdded(f"{self.file}: {self._prefix}{key} = {value}: {expected}")


@dataclass(frozen=True, slots=True)
class Weights:
    """The size of the weights in bytes, None if unknown, and the source of that figure."""

    bytes: int | None
    basis: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts in a model's files. `source` is the source for the catalogue, `name` its last part.

    `template` is the chat template. `files` are the names of all files in the top folder. `empty`: no file was
    available, and only the options of the caller are known.
    """

    source: str
    name: str
    config: JsonObject
    tokenizer: JsonObject = field(default_factory=lambda: JsonObject("tokenizer_config.json", {}))
    sentence_bert: JsonObject = field(default_factory=lambda: JsonObject("sentence_bert_config.json", {}))
    template: str | None = None
    files: frozenset[str] = frozenset()
    weights: Weights = Weights(None)
    empty: bool = False

    @property
    def text_config(self) -> JsonObject:
        """The configuration of the language model, merged over the configuration of the whole multimodal model."""
        merged = dict(self.config.values)
        inner = self.config
        while found := next((key for key in LANGUAGE_MODEL_KEYS if key in inner), None):
            inner = inner.table(found)
            merged |= inner.values
        return JsonObject(
            self.config.file, {key: value for key, value in merged.items() if key not in LANGUAGE_MODEL_KEYS}
        )

    def has_weights(self, *endings: str) -> bool:
        """Whether it has weights in files with these endings."""
        return any(name.endswith(endings) for name in self.files if not name.startswith(NO_WEIGHTS))

    @property
    def dtype(self) -> str:
        """The number type of the stored weights, empty if unknown."""
        return self.text_config.text("dtype") or self.text_config.text("torch_dtype")

    @property
    def architecture(self) -> str:
        """The first of `architectures`, empty if there is none."""
        return next(iter(self.config.texts("architectures")), "")

    @property
    def model_types(self) -> tuple[str, ...]:
        """Its `model_type`, then the one of its language model."""
        found = (self.config.text("model_type"), self.text_config.text("model_type"))
        return tuple(dict.fromkeys(name for name in found if name))


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that will run the model. `budget` is the memory for all models in bytes, None if unknown. `utility`
    is the id of the utility model, and `utility_memory` its part of the budget. `runtimes` are the runtimes of the
    catalogue, `families` its families with their runtimes."""

    gpu: bool
    budget: int | None = None
    utility: str | None = None
    utility_memory: int = 0
    runtimes: tuple[str, ...] = ()
    families: Mapping[str, str | None] = field(default_factory=dict)
