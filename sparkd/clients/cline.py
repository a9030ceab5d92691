"""Cline: the file of its command line, and the values to enter in its extension.

Keys: the schema of `providers.json` in the program (3.0.65): `timeout` in milliseconds, `contextWindow` and
`maxTokens` in tokens. Cline cannot read the key from an environment variable.
"""

from __future__ import annotations

from typing import Any, Final

from sparkd.clients.configuration import ConfigFile, Configuration, Location, Suggestion
from sparkd.clients.offer import KEY_PLACEHOLDER, Offer, OfferedModel

TYPE: Final = "openai-compatible"
EPOCH: Final = "2026-01-01T00:00:00.000Z"
"""A time for `updatedAt`, which Cline requires and changes."""


def configure(offer: Offer) -> Configuration:
    """The provider for servers with OpenAI's API, and the main model, because Cline has one for each provider."""
    main = offer.main
    limits = {"contextWindow": main.context, "maxTokens": main.output} if main.context else {}
    key: Any = Suggestion(KEY_PLACEHOLDER) if offer.key.is_missing else offer.key.value("")
    settings = {
        "provider": TYPE,
        "apiKey": key,
        "model": main.id,
        "baseUrl": offer.base_url,
        "timeout": offer.milliseconds,
        **limits,
    }
    provider = {
        "settings": settings,
        "updatedAt": Suggestion(EPOCH),
        "tokenSource": Suggestion("manual"),
    }
    file = ConfigFile(
        location=Location(("providers.json",), ".cline/data/settings"),
        format="json",
        content={"version": 1, "lastUsedProvider": TYPE, "providers": {TYPE: provider}},
    )
    return Configuration(files=(file,), notes=_describe_extension(offer))


def _describe_extension(offer: Offer) -> tuple[str, ...]:
    key = "one of your keys" if offer.key.is_missing else offer.key.value("")
    return (
        f"In the extension: API provider OpenAI Compatible, base URL {offer.base_url}, API key: {key}. Models:",
        *(f"  {_describe_model(model)}" for model in offer.models),
    )


def _describe_model(model: OfferedModel) -> str:
    limits = f"context window {model.context}, max output {model.output}, " if model.context else ""
    return f"{model.id}: {limits}images: {'yes' if model.has_vision else 'no'}"
