"""OpenCode, in its `opencode.json`.

Keys: https://opencode.ai/config.json and https://opencode.ai/docs/providers; the timeouts are in
packages/opencode/src/provider/provider.ts (1.18): `timeout` for a whole request (off unless set), `headerTimeout`
until the headers and `chunkTimeout` between two reads (300,000 ms each; false or 0 is off).
"""

from __future__ import annotations

from typing import Any, Final

from sparkd.clients.configuration import ConfigFile, Configuration, Items, Location
from sparkd.clients.offer import KEY_VARIABLE, PROVIDER, Offer, OfferedModel

PACKAGE: Final = "@ai-sdk/openai-compatible"
"""The package with which OpenCode connects to servers with OpenAI's API."""


def configure(offer: Offer) -> Configuration:
    """The provider `sparkd`, its models, and which of them to start with."""
    options = {
        "baseURL": offer.base_url,
        "apiKey": offer.key.value(f"{{env:{KEY_VARIABLE}}}"),
        "timeout": False,
        "headerTimeout": False,
        "chunkTimeout": offer.milliseconds,
    }
    provider = {
        "npm": PACKAGE,
        "name": PROVIDER,
        "options": options,
        "models": {model.id: _describe_model(model) for model in offer.models},
    }
    content = {
        "$schema": "https://opencode.ai/config.json",
        "provider": {PROVIDER: provider},
        "model": f"{PROVIDER}/{offer.main.id}",
        "small_model": f"{PROVIDER}/{offer.small.id}",
    }
    file = ConfigFile(
        location=Location(("opencode.json", "opencode.jsonc"), ".config/opencode", has_xdg=True),
        format="json",
        content=content,
        items={("provider", PROVIDER, "models"): Items()},
    )
    return Configuration(files=(file,))


def _describe_model(model: OfferedModel) -> dict[str, Any]:
    limits = {"limit": {"context": model.context, "output": model.output}} if model.context else {}
    return {
        "name": model.name,
        **limits,
        "tool_call": model.has_tools,
        "reasoning": model.has_reasoning,
        "attachment": model.has_vision,
        "modalities": {"input": ["text", "image"] if model.has_vision else ["text"], "output": ["text"]},
    }
