"""pi, in its `models.json` and `settings.json`.

Keys: docs/models.md and docs/settings.md of @mariozechner/pi-coding-agent (0.73). `apiKey` is the name of an
environment variable, or the key itself if there is no such variable; `retry.provider.timeoutMs` is the timeout of a
request. pi turns off the timeouts of Node.js itself.
"""

from __future__ import annotations

from typing import Any

from sparkd.clients.configuration import ConfigFile, Configuration, Items, Location
from sparkd.clients.offer import KEY_VARIABLE, PROVIDER, Offer, OfferedModel


def configure(offer: Offer) -> Configuration:
    """The provider `sparkd`, and the model to start with."""
    provider = {
        "baseUrl": offer.base_url,
        "api": "openai-completions",
        "apiKey": offer.key.value(KEY_VARIABLE),
        "models": [_describe_model(model) for model in offer.models],
    }
    models = ConfigFile(
        location=_locate("models.json"),
        format="json",
        content={"providers": {PROVIDER: provider}},
        items={("providers", PROVIDER, "models"): Items(key="id")},
    )
    settings = ConfigFile(
        location=_locate("settings.json"),
        format="json",
        content={
            "defaultProvider": PROVIDER,
            "defaultModel": offer.main.id,
            "retry": {"provider": {"timeoutMs": offer.milliseconds}},
        },
    )
    return Configuration(files=(models, settings))


def _locate(name: str) -> Location:
    return Location((name,), ".pi/agent", "PI_CODING_AGENT_DIR")


def _describe_model(model: OfferedModel) -> dict[str, Any]:
    limits = {"contextWindow": model.context, "maxTokens": model.output} if model.context else {}
    return {
        "id": model.id,
        "name": model.name,
        "reasoning": model.has_reasoning,
        "input": ["text", "image"] if model.has_vision else ["text"],
        **limits,
    }
