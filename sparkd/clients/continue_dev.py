"""Continue, in its `config.yaml`.

Keys: https://docs.continue.dev/reference and packages/config-yaml/src/schemas/models.ts: `requestOptions.timeout` is
in seconds (7,200). `${{ secrets.NAME }}` comes from the file `.env` beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkd.clients.configuration import ConfigFile, Configuration, Items, Location, Suggestion
from sparkd.clients.offer import KEY_VARIABLE, PROVIDER, Offer, OfferedModel


def configure(offer: Offer) -> Configuration:
    """Each model with its roles; models for embeddings have the role `embed`."""
    chatting = [_describe_model(model, offer) for model in offer.models]
    embedding = [{**_connect(name, offer), "roles": ["embed"]} for name in offer.embedding]
    content = {
        "name": Suggestion("Local models"),
        "version": Suggestion("1.0.0"),
        "schema": Suggestion("v1"),
        "models": [*chatting, *embedding],
    }

    def is_ours(item: Mapping[str, Any]) -> bool:
        return str(item.get("name", "")).endswith(f"({PROVIDER})")

    file = ConfigFile(
        location=Location(("config.yaml",), ".continue", "CONTINUE_GLOBAL_DIR"),
        format="yaml",
        content=content,
        items={("models",): Items("name", is_ours)},
    )
    notes = (f"Put the key into ~/.continue/.env: `{KEY_VARIABLE}=…`",) if offer.key.is_missing else ()
    return Configuration(files=(file,), notes=notes)


def _connect(model: str, offer: Offer) -> dict[str, Any]:
    return {
        "name": f"{model} ({PROVIDER})",
        "provider": "openai",
        "model": model,
        "apiBase": offer.base_url,
        "apiKey": offer.key.value(f"${{{{ secrets.{KEY_VARIABLE} }}}}"),
        "requestOptions": {"timeout": offer.seconds},
    }


def _describe_model(model: OfferedModel, offer: Offer) -> dict[str, Any]:
    capabilities = [
        *(["tool_use"] if model.has_tools else []),
        *(["image_input"] if model.has_vision else []),
    ]
    limits = {"contextLength": model.context, "maxTokens": model.output} if model.context else {}
    return {
        **_connect(model.id, offer),
        "roles": ["chat", "edit", "apply", "summarize"],
        "capabilities": capabilities,
        **({"defaultCompletionOptions": limits} if limits else {}),
    }
