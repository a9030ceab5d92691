"""`GET /v1/models`: the catalogue for clients; it starts nothing.

One list serves clients of OpenAI, vLLM, llama.cpp, Anthropic and Codex: it has the fields of each (vLLM calls the
context length `max_model_len`, llama.cpp `meta.n_ctx`; `display_name` is Anthropic's), and some of the catalogue's own:
`tags`, `family`, `parameters`, `vision`.

`status.value` is what llama.cpp's router says about a model, and Open WebUI reads: "unloaded", "loading" or "loaded". A
model that failed is "unloaded" there, with `failed: true`. `status.state` also has "downloading" and "failed", and the
other fields say how far it is and why it failed. `status.catalogue` is the status in the catalogue.

Codex requires a list `models` at the top, and uses what an entry there says about a model, its `base_instructions` in
place of its own instructions. sparkd has none that are better, so the list is empty, and Codex uses its own.
"""

from __future__ import annotations

import datetime
import hashlib
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.rewriting.context_window import context_length
from sparkd.scheduling.model_state import ModelState

_encode = msgspec.json.Encoder().encode
_started = int(time.time())


NO_CHOICES: Mapping[str, tuple[Model, ...]] = MappingProxyType({})

StateOf = Callable[[Model], ModelState]
"""The state of a model now."""


class Document(Struct, frozen=True):
    """A JSON document and its entity tag."""

    body: bytes
    tag: str

    @classmethod
    def encode(cls, content: object) -> Document:
        """Encode a document."""
        body = _encode(content)
        return cls(body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')

    def is_named_in(self, condition: bytes) -> bool:
        """Whether the header `If-None-Match` names this document."""
        tags = [tag.strip().removeprefix("W/") for tag in condition.decode("latin-1").split(",")]
        return self.tag in tags or tags == ["*"]


class ModelList:
    """The enabled models of a catalogue as JSON. Encoded again if the catalogue or the state of a model changes."""

    def __init__(self) -> None:
        self._catalogue: Catalogue | None = None
        self._models: list[Model] = []
        self._states: list[ModelState] = []
        self._document = Document(b"", "")

    def encode_all(self, catalogue: Catalogue, state_of: StateOf) -> Document:
        """Every enabled model."""
        if catalogue is not self._catalogue:
            self._catalogue = catalogue
            self._models = [model for model in catalogue.models.values() if model.enabled]
            self._document = Document(b"", "")
        states = list(map(state_of, self._models))
        if states != self._states or not self._document.body:
            self._states = states
            self._document = _list(self._models, state_of, catalogue.choices)
        return self._document


def encode_some(models: list[Model], state_of: StateOf) -> Document:
    """Some models: one, for clients whose base URL is `/v1/<model>`, or those that an API key may use."""
    return _list(models, state_of)


def encode_card(model: Model, state_of: StateOf) -> Document:
    """One model."""
    return Document.encode(_card(model, state_of))


def _list(
    models: list[Model], state_of: StateOf, choices: Mapping[str, tuple[Model, ...]] = NO_CHOICES
) -> Document:
    cards = [_card(model, state_of) for model in models]
    cards += [_choice_card(name, chosen, state_of) for name, chosen in choices.items()]
    return Document.encode(
        {
            "object": "list",
            "data": cards,
            "models": [],  # Codex's, see above
            "has_more": False,
            "first_id": cards[0]["id"] if cards else None,
            "last_id": cards[-1]["id"] if cards else None,
        }
    )


def _choice_card(name: str, models: tuple[Model, ...], state_of: StateOf) -> dict[str, Any]:
    """The entry of a name that stands for several models: the shortest context of these, and the state of the best."""
    states = [state_of(model).residency for model in models if model.enabled]
    fields: dict[str, Any] = {
        "id": name,
        "object": "model",
        "created": _started,
        "owned_by": "sparkd",
        "type": "model",
        "display_name": name,
        "choices": [model.id for model in models if model.enabled],
        "status": {"value": next((each for each in ("loaded", "loading") if each in states), "unloaded")},
    }
    lengths = [context_length(model) for model in models if model.enabled]
    if known := [length for length in lengths if length is not None]:
        length = min(known)
        fields |= {"max_model_len": length, "context_length": length, "context_window": length}
        fields["meta"] = {"n_ctx": length}
    return fields


def _card(model: Model, state_of: StateOf) -> dict[str, Any]:
    made = datetime.datetime.fromtimestamp(_started, datetime.UTC).isoformat()
    fields: dict[str, Any] = {
        "id": model.id,
        "object": "model",
        "created": _started,
        "owned_by": "sparkd",
        "root": model.source or model.id,
        "parent": None,
        "type": "model",
        "display_name": model.id,
        "created_at": made,
        "aliases": [*model.aliases, *model.rewriting.presets],
        "description": model.description,
        "family": model.family,
        "parameters": model.parameters or None,
        "status": _status(model, state_of(model)),
        "tags": model.tags,
        "vision": model.vision,
    }
    length = context_length(model)
    if length is not None:
        fields |= {"max_model_len": length, "context_length": length, "context_window": length}
        fields["meta"] = {"n_ctx": length}
    return fields


def _status(model: Model, state: ModelState) -> dict[str, Any]:
    """The field `status`. What is unknown or does not apply is left out."""
    fields: dict[str, Any] = {"value": state.residency, "catalogue": model.status, "state": state.state}
    if state.state == "failed":
        fields["failed"] = True
    details = {
        "phase": state.phase,
        "progress": state.progress,
        "seconds_left": state.seconds_left,
        "reason": state.reason,
    }
    return fields | {name: value for name, value in details.items() if value is not None}
