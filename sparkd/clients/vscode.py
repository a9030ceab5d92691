"""VS Code's chat, in its `chatLanguageModels.json`.

Keys: "Custom Endpoint" in https://code.visualstudio.com/docs/agent-customization/language-models (VS Code 1.122). It
has no key for a timeout. VS Code keeps the key in its secret storage, and puts a reference to it into the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkd.clients.configuration import ConfigFile, Configuration, Items, Location, Suggestion
from sparkd.clients.offer import PROVIDER, Offer, OfferedModel


def configure(offer: Offer) -> Configuration:
    """A group `sparkd` of models for chats and agents."""
    key: Any = Suggestion("${input:sparkdApiKey}") if offer.key.is_missing else offer.key.value("")
    group = {
        "name": PROVIDER,
        "vendor": "customendpoint",
        "apiKey": key,
        "apiType": "chat-completions",
        "models": [_describe_model(model, offer) for model in offer.models if model.context],
    }

    def is_ours(item: Mapping[str, Any]) -> bool:
        return item.get("name") == PROVIDER

    file = ConfigFile(
        location=Location(("chatLanguageModels.json",), ".config/Code/User", has_xdg=True),
        format="json",
        content=[group],
        items={(): Items("name", is_ours), ("models",): Items("id")},
    )
    notes = (
        f"For titles and commit messages, set `chat.utilityModel` and `chat.utilitySmallModel` to {offer.small.id}.",
        "On a Mac, the folder is ~/Library/Application Support/Code/User: add `--file`.",
    )
    return Configuration(files=(file,), notes=notes)


def _describe_model(model: OfferedModel, offer: Offer) -> dict[str, Any]:
    return {
        "id": model.id,
        "name": model.name,
        "url": f"{offer.base_url}/chat/completions",
        "toolCalling": model.has_tools,
        "vision": model.has_vision,
        "thinking": model.has_reasoning,
        "maxInputTokens": model.input,
        "maxOutputTokens": model.output,
    }
