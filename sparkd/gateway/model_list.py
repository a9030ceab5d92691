"""`GET /v1/models`: the catalogue for clients; it starts nothing.

One list serves clients of OpenAI, vLLM, llama.cpp, Anthropic and Codex: it has the fields of each (vLLM calls the
context length `max_model_len`, llama.cpp `meta.n_ctx`; `display_name` is Anthropic's), and some of the catalogue's own:
`tags`, `family`, `parameters`, `vision`.

`status.value` is what llama.cpp's router says about a model, and Open WebUI reads: "unloaded", "loading" or "loaded". A
model that failed is "unloaded" there, with `failed: true`. `status.state` also has "downloading" and "failed", and the
other fields say how far it is and why it failed. `status.catalogue` is the status in the catalogue.

The choices come after the models, `warm` only if there are several models. `choices` has the ids of the models that
such a name stands for; its state is that of the first one that is loaded, or loads, or otherwise that of the first one.

Codex requires a list `models` at the top, and uses what an entry there says about a model, its `base_instructions` in
place of its own instructions. sparkd has none that are better, so the list is empty, and Codex uses its own.
"""

from __future__ import annotations

import datetime
import hashlib
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.catalog.choices import Choice, Found
from sparkd.catalog.definitions import Model
from sparkd.gateway.admission.key_policies import list_choices
from sparkd.rewriting.context_window import context_length
from sparkd.scheduling.model_state import ModelState

_encode = msgspec.json.Encoder().encode
_started = int(time.time())


MAX_DESCRIBED: Final = 5
"""The most models that the description of a choice names."""

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
        self._choices: list[Choice] = []
        self._states: list[ModelState] = []
        self._document = Document(b"", "")

    def encode_all(self, catalogue: Catalogue, state_of: StateOf) -> Document:
        """Every enabled model, and the choices."""
        if catalogue is not self._catalogue:
            self._catalogue = catalogue
            self._models = [model for model in catalogue.models.values() if model.enabled]
            self._choices = list_choices(catalogue, None)
            self._document = Document(b"", "")
        states = list(map(state_of, self._models))
        if states != self._states or not self._document.body:
            self._states = states
            cards = [_card(model, state_of) for model in self._models]
            self._document = _list([*cards, *(_choice_card(choice, state_of) for choice in self._choices)])
        return self._document


def encode_some(founds: list[Found], state_of: StateOf) -> Document:
    """Some models and choices: one, for clients whose base URL is `/v1/<model>`, or those that an API key may use."""
    return _list([_card_of(found, state_of) for found in founds])


def encode_card(found: Found, state_of: StateOf) -> Document:
    """One model, or one choice."""
    return Document.encode(_card_of(found, state_of))


def _list(cards: list[dict[str, Any]]) -> Document:
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


def _card_of(found: Found, state_of: StateOf) -> dict[str, Any]:
    return _choice_card(found.choice, state_of) if found.choice else _card(found.model, state_of)


def _choice_card(choice: Choice, state_of: StateOf) -> dict[str, Any]:
    """A choice as if it were a model: with the longest context of its models, and what any of them can do."""
    models = choice.models
    serving = find_serving(choice, state_of)
    fields = {
        **_card(serving, state_of),
        "id": choice.name,
        "root": choice.name,
        "display_name": choice.name,
        "aliases": [],
        "description": f"the first of these that is loaded: {_join_some(models)}",
        "family": None,
        "parameters": None,
        "tags": [],
        "vision": any(model.vision for model in models),
        "choices": [model.id for model in models],
    }
    return fields | _context_fields(max((context_length(model) or 0 for model in models), default=0))


def find_serving(choice: Choice, state_of: StateOf) -> Model:
    """The model of a choice whose state is that of the choice: the first that is loaded, or loads, or the first."""
    states = [(model, state_of(model).residency) for model in choice.models]
    for wanted in ("loaded", "loading"):
        for model, residency in states:
            if residency == wanted:
                return model
    return states[0][0]


def _join_some(models: list[Model]) -> str:
    names = ", ".join(model.id for model in models[:MAX_DESCRIBED])
    return names if len(models) <= MAX_DESCRIBED else f"{names} and {len(models) - MAX_DESCRIBED} more"


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
    return fields | _context_fields(context_length(model) or 0)


def _context_fields(length: int) -> dict[str, Any]:
    """The length of a context as each client looks for it; nothing if it is 0, unknown."""
    if not length:
        return {}
    lengths = {"max_model_len": length, "context_length": length, "context_window": length}
    return lengths | {"meta": {"n_ctx": length}}


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
