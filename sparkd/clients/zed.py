"""Zed, in its `settings.json`.

Keys: docs/src/ai/use-api-access.md and crates/settings_content/src/language_model.rs. Zed has no timeout. It reads
the key of the provider `sparkd` from SPARKD_API_KEY, or from the system's keychain, never from this file.
"""

from __future__ import annotations

from typing import Any, Final

from sparkd.clients.configuration import ConfigFile, Configuration, Items, Location
from sparkd.clients.offer import KEY_VARIABLE, NO_KEY, PROVIDER, Offer, OfferedModel

UNKNOWN_CONTEXT: Final = 32768
"""Tokens. Zed requires a number."""


def configure(offer: Offer) -> Configuration:
    """The provider `sparkd`, and the models of Zed's agent."""
    provider = {
        "api_url": offer.base_url,
        "available_models": [_describe_model(model) for model in offer.models],
    }
    small = {"provider": PROVIDER, "model": offer.small.id}
    agent = {
        "default_model": {"provider": PROVIDER, "model": offer.main.id},
        "thread_summary_model": small,
        "commit_message_model": small,
    }
    file = ConfigFile(
        location=Location(("settings.json",), ".config/zed", has_xdg=True),
        format="json",
        content={"language_models": {"openai_compatible": {PROVIDER: provider}}, "agent": agent},
        items={("language_models", "openai_compatible", PROVIDER, "available_models"): Items(key="name")},
    )
    key = "one of your keys" if offer.key.is_required else f"any text, such as `{NO_KEY}`"
    note = (
        f"Zed never reads the key from a file. Set {KEY_VARIABLE} for it, or enter it in its settings: {key}."
    )
    return Configuration(files=(file,), notes=(note,))


def _describe_model(model: OfferedModel) -> dict[str, Any]:
    output = {"max_output_tokens": model.output} if model.output else {}
    return {
        "name": model.id,
        "display_name": model.name,
        "max_tokens": model.context or UNKNOWN_CONTEXT,
        **output,
        "capabilities": {
            "tools": model.has_tools,
            "images": model.has_vision,
            "parallel_tool_calls": model.has_tools,
            "prompt_cache_key": False,
        },
    }
