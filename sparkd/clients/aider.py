"""aider, in its `.aider.conf.yml` and its file of model limits.

Keys: `aider --help` (0.86), whose options may be in the file, and
https://aider.chat/docs/config/adv-model-settings.html. `timeout` is in seconds (600). aider reads both files in the
home folder, the repository and the current folder.
"""

from __future__ import annotations

from typing import Any

from sparkd.clients.configuration import ConfigFile, Configuration, Location, Removal
from sparkd.clients.offer import KEY_VARIABLE, Offer, OfferedModel


def configure(offer: Offer) -> Configuration:
    """The address, the models and their limits."""
    content: dict[str, Any] = {
        "model": f"openai/{offer.main.id}",
        "weak-model": f"openai/{offer.small.id}",
        "openai-api-base": offer.base_url,
        "timeout": offer.seconds,
        "openai-api-key": Removal() if offer.key.is_missing else offer.key.value(""),
    }
    notes: tuple[str, ...] = ()
    if offer.key.is_missing:
        notes = (f'Set the key where you start aider: `export OPENAI_API_KEY="${KEY_VARIABLE}"`',)
    conf = ConfigFile(location=Location((".aider.conf.yml",)), format="yaml", content=content)
    limits = ConfigFile(
        location=Location((".aider.model.metadata.json",)),
        format="json",
        content={f"openai/{model.id}": _describe_model(model) for model in offer.models if model.context},
    )
    return Configuration(files=(conf, limits), notes=notes)


def _describe_model(model: OfferedModel) -> dict[str, Any]:
    return {
        "litellm_provider": "openai",
        "mode": "chat",
        "max_input_tokens": model.context,
        "max_output_tokens": model.output,
        "supports_vision": model.has_vision,
        "input_cost_per_token": 0,
        "output_cost_per_token": 0,
    }
