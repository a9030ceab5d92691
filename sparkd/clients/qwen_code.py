"""Qwen Code, in its `settings.json`.

Keys: docs/configuration/settings.md and model-providers.md of @qwen-code/qwen-code (0.24). Each model has `timeout`
(120,000 ms, for a request) and `streamIdleTimeoutMs` (240,000, between two chunks). QWEN_STREAM_MAX_LIFETIME_MS
(900,000) limits a whole stream, with the wait for its model, and 0 turns that off. The key is read from the variable
that `envKey` names; `env` sets variables that the environment does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkd.clients.configuration import ConfigFile, Configuration, Items, Location, Removal
from sparkd.clients.offer import KEY_VARIABLE, Offer, OfferedModel


def configure(offer: Offer) -> Configuration:
    """The models, as further ones of the provider `openai`, and which of them to use."""
    key = Removal() if offer.key.is_missing else offer.key.value("")
    variables = {"QWEN_STREAM_MAX_LIFETIME_MS": "0", KEY_VARIABLE: key}
    content = {
        "env": variables,
        "modelProviders": {"openai": [_describe_model(model, offer) for model in offer.models]},
        "security": {"auth": {"selectedType": "openai"}},
        "model": {"name": offer.main.id},
        "fastModel": offer.small.id,
    }

    def is_ours(item: Mapping[str, Any]) -> bool:
        return item.get("envKey") == KEY_VARIABLE

    file = ConfigFile(
        location=Location(("settings.json",), ".qwen"),
        format="json",
        content=content,
        items={("modelProviders", "openai"): Items("id", is_ours)},
    )
    return Configuration(files=(file,))


def _describe_model(model: OfferedModel, offer: Offer) -> dict[str, Any]:
    options: dict[str, Any] = {
        "timeout": offer.milliseconds,
        "streamIdleTimeoutMs": offer.milliseconds,
        "modalities": {"image": model.has_vision},
    }
    if model.context:
        options["contextWindowSize"] = model.context
    return {
        "id": model.id,
        "name": model.name,
        "baseUrl": offer.base_url,
        "envKey": KEY_VARIABLE,
        "generationConfig": options,
    }
