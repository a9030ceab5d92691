"""What is known of a model and of the machine before anything is guessed.

A config.json comes from the network and may say anything: every number read here has bounds, and one outside them
is told with its file, key and value instead of becoming an absurd guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sparkd.catalog.wording import shown
from sparkd.errors import ModelNotAdded

CONFIG: Final = "config.json"
INNER: Final = ("text_config", "llm_config", "language_config", "thinker_config")
"""Where models that take more than text keep the configuration of their language model."""

NO_WEIGHTS: Final = ("training_args", "optimizer", "scheduler", "rng_state")
"""What files that trainers leave beside the weights begin with."""

MOST_TOKENS: Final = 2**31 - 1
MOST_LAYERS: Final = 10_000
MOST_WIDTH: Final = 2**24
"""Of a layer, of a head, of a vocabulary: a thousand times what exists."""


class Table:
    """A JSON object of a file, read with care."""

    def __init__(self, file: str, values: Mapping[str, object], place: str = "") -> None:
        self.file = file
        self.values = values
        self._place = place

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def count(self, key: str, most: int = MOST_WIDTH) -> int | None:
        """A whole number from 1 to `most`; None where there is none, or 0 or -1, which mean the same."""
        value = self.values.get(key)
        if isinstance(value, list) and value and all(isinstance(one, int) for one in value):
            value = max(value)  # some models say it layer by layer
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is None or value in (0, -1):
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= most:
            raise self.wrong(key, f"expected a whole number from 1 to {most}")
        return value

    def first(self, keys: Sequence[str], most: int = MOST_WIDTH) -> int | None:
        """The count under the first of these keys that has one: families name one thing differently."""
        return next((found for key in keys if (found := self.count(key, most)) is not None), None)

    def number(self, key: str, least: float, most: float) -> float | None:
        """A number within bounds."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise self.wrong(key, f"expected a number from {least:g} to {most:g}")
        return float(value)

    def text(self, key: str) -> str:
        """A text, empty where there is none."""
        value = self.values.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.wrong(key, "expected a string")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.wrong(key, "expected a list of strings")
        return tuple(value)

    def table(self, key: str) -> Table:
        """An object inside, empty where there is none."""
        value = self.values.get(key)
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            raise self.wrong(key, "expected an object")
        return Table(self.file, value, f"{self._place}{key}.")

    def wrong(self, key: str, expected: str) -> ModelNotAdded:
        """What to raise about a value."""
        value = shown(self.values.get(key))
        return ModelNotAdded(f"{self.file}: {self._place}{key} = {value}: {expected}")


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights' bytes, None where nobody says, and where the figure is from."""

    bytes: int | None
    basis: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """A model's files. `source` is what the catalogue will say, `name` what it is called: the last part of that.

    `template` is the chat template; `files` are the names of all files of the top folder; `empty`: nothing could be
    had and only what the caller wishes is known.
    """

    source: str
    name: str
    config: Table
    tokenizer: Table = field(default_factory=lambda: Table("tokenizer_config.json", {}))
    sentence: Table = field(default_factory=lambda: Table("sentence_bert_config.json", {}))
    template: str | None = None
    files: frozenset[str] = frozenset()
    weights: Weights = Weights(None)
    empty: bool = False

    @property
    def text_config(self) -> Table:
        """The language model's configuration, over what is said for the whole of a model that takes more than text."""
        whole = dict(self.config.values)
        inner = self.config
        while found := next((key for key in INNER if key in inner), None):
            inner = inner.table(found)
            whole |= inner.values
        return Table(self.config.file, {key: value for key, value in whole.items() if key not in INNER})

    def has_weights(self, *endings: str) -> bool:
        """Whether it has weights in files that end so."""
        return any(name.endswith(endings) for name in self.files if not name.startswith(NO_WEIGHTS))

    @property
    def dtype(self) -> str:
        """The type of number that its weights are stored in, empty where nothing says it."""
        return self.text_config.text("dtype") or self.text_config.text("torch_dtype")

    @property
    def architecture(self) -> str:
        """The first of `architectures`, empty where none is named."""
        return next(iter(self.config.texts("architectures")), "")

    @property
    def model_types(self) -> tuple[str, ...]:
        """Its `model_type`, then its language model's."""
        found = (self.config.text("model_type"), self.text_config.text("model_type"))
        return tuple(dict.fromkeys(name for name in found if name))


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it shall run. `budget` is what models may take together in bytes, None where nobody knows; `beside` is
    what the utility takes of it, and `utility` its id. `runtimes` are the catalogue's, `families` its
    families with the runtime that their models run in."""

    gpu: bool
    budget: int | None = None
    utility: str | None = None
    beside: int = 0
    runtimes: tuple[str, ...] = ()
    families: Mapping[str, str | None] = field(default_factory=dict)
