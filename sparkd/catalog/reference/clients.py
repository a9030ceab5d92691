"""Generates configurations of clients from the catalogue: the models that a client may use, and their limits.

OpenCode's format: https://opencode.ai/docs/providers and https://opencode.ai/config.json. Cline is configured by hand,
so it gets the values to type.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct

from sparkd.catalog.catalogue import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.ranking import rank_models

PROVIDER: Final = "sparkd"
PACKAGE: Final = "@ai-sdk/openai-compatible"
"""The package with which OpenCode connects to servers with OpenAI's API."""

KEY_VARIABLE: Final = "SPARKD_API_KEY"
"""Environment variable from which OpenCode reads the key, so that no file contains it."""

NO_KEY: Final = "none"
"""The key to send if sparkd needs none, because clients require one."""


class ClineModel(Struct, frozen=True, kw_only=True):
    """What to type into Cline for one model. `context_window` and `max_output` are tokens, None: Cline's own."""

    model: str
    context_window: int
    max_output: int | None
    images: bool


def opencode_config(catalogue: Catalogue, url: str, main: Model | None = None) -> dict[str, Any]:
    """The `opencode.json` for a sparkd at `url` (which ends in `/v1`). `main` is the initial model; unset: the best
    model for code."""
    offered = [model for model in _advertised_models(catalogue) if model.clients.opencode.context]
    first = main or next(iter([*rank_models(offered, "code"), *offered]), None)
    small = next((model for model in offered if model.lifecycle == "utility"), None)
    found = {
        "$schema": "https://opencode.ai/config.json",
        "provider": {
            PROVIDER: {
                "npm": PACKAGE,
                "name": PROVIDER,
                "options": {"baseURL": url, "apiKey": _api_key_reference(catalogue)},
                "models": {model.id: _opencode_model(model) for model in offered},
            }
        },
    }
    if first is not None:
        found["model"] = f"{PROVIDER}/{first.id}"
    if small is not None:
        found["small_model"] = f"{PROVIDER}/{small.id}"
    return found


def cline_settings(catalogue: Catalogue) -> list[ClineModel]:
    """The values to type into Cline for each model, the best for code first."""
    offered = [model for model in _advertised_models(catalogue) if model.clients.cline.context]
    best_models = rank_models(offered, "code")
    return [
        ClineModel(
            model=model.id,
            context_window=model.clients.cline.context or 0,
            max_output=model.clients.cline.output,
            images=model.vision,
        )
        for model in [*best_models, *(model for model in offered if model not in best_models)]
    ]


def _advertised_models(catalogue: Catalogue) -> Iterable[Model]:
    return (model for model in catalogue.models.values() if model.status in ("validated", "experimental"))


def _api_key_reference(catalogue: Catalogue) -> str:
    return f"{{env:{KEY_VARIABLE}}}" if catalogue.settings.server.api_key_file else NO_KEY


def _opencode_model(model: Model) -> dict[str, Any]:
    limits = model.clients.opencode
    modalities = ["text", "image"] if model.vision else ["text"]
    return {
        "name": model.description.partition(":")[0] or model.id,
        "limit": {"context": limits.context, **({"output": limits.output} if limits.output else {})},
        "tool_call": model.rewriting.tools != "strip",
        "reasoning": "reasoning-parser" in model.options,
        "attachment": model.vision,
        "modalities": {"input": modalities, "output": ["text"]},
    }
