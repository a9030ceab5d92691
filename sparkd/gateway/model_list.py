"""`GET /v1/models`: the catalogue for clients; it starts nothing.

One list serves clients of OpenAI, vLLM, llama.cpp and Anthropic: it has the fields of each (vLLM calls the context
length `max_model_len`, llama.cpp `meta.n_ctx`; `display_name` is Anthropic's), and some of the catalogue's own:
`status`, `tags`, `family`, `parameters`, `vision`.
"""

from __future__ import annotations

import datetime
import time
from typing import Any

import msgspec

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.rewriting.context_window import context_length

_encode = msgspec.json.Encoder().encode
_started = int(time.time())


class ModelList:
    """The enabled models of a catalogue as JSON. The whole list is encoded once per catalogue."""

    def __init__(self) -> None:
        self._catalogue: Catalogue | None = None
        self._encoded = b""

    def encode_all(self, catalogue: Catalogue) -> bytes:
        """Every enabled model."""
        if catalogue is not self._catalogue:
            self._encoded = _list([model for model in catalogue.models.values() if model.enabled])
            self._catalogue = catalogue
        return self._encoded


def encode_only(model: Model) -> bytes:
    """A list of one, for clients whose base URL is `/v1/<model>`."""
    return _list([model])


def encode_card(model: Model) -> bytes:
    """One model."""
    return _encode(_card(model))


def _list(models: list[Model]) -> bytes:
    cards = [_card(model) for model in models]
    return _encode(
        {
            "object": "list",
            "data": cards,
            "has_more": False,
            "first_id": cards[0]["id"] if cards else None,
            "last_id": cards[-1]["id"] if cards else None,
        }
    )


def _card(model: Model) -> dict[str, Any]:
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
        "status": model.status,
        "tags": model.tags,
        "vision": model.vision,
    }
    length = context_length(model)
    if length is not None:
        fields |= {"max_model_len": length, "context_length": length, "context_window": length}
        fields["meta"] = {"n_ctx": length}
    return fields
