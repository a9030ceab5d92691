"""Configurations of clients, made from the catalogue: which models a client may pick, and how much each takes.

OpenCode's format: https://opencode.ai/docs/providers and https://opencode.ai/config.json. Cline is configured by hand,
so what it gets are the values to type.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct

from sparkd.catalog.catalogue import Catalogue
from sparkd.catalog.choosing import best
from sparkd.catalog.definitions import Model

PROVIDER: Final = "sparkd"
PACKAGE: Final = "@ai-sdk/openai-compatible"
"""The package with which OpenCode talks to servers of OpenAI's API."""

KEY_VARIABLE: Final = "SPARKD_API_KEY"
"""Environment variable from which OpenCode takes the key: it stands in no file."""

NO_KEY: Final = "none"
"""What is sent where sparkd wants no key: clients insist on one."""


class ClineModel(Struct, frozen=True, kw_only=True):
    """What to type into Cline for one model. `context_window` and `max_output` are tokens, None: Cline's own."""

    model: str
    context_window: int
    max_output: int | None
    images: bool


def opencode(catalogue: Catalogue, url: str, main: Model | None = None) -> dict[str, Any]:
    """The `opencode.json` for a sparkd at `url` (which ends in `/v1`). `main` is what it begins with; unset: what is
    best for code."""
    offered = [model for model in _offered(catalogue) if model.clients.opencode.context]
    first = main or next(iter([*best(offered, "code"), *offered]), None)
    small = next((model for model in offered if model.lifecycle == "utility"), None)
    found = {
        "$schema": "https://opencode.ai/config.json",
        "provider": {
            PROVIDER: {
                "npm": PACKAGE,
                "name": PROVIDER,
                "options": {"baseURL": url, "apiKey": _key(catalogue)},
                "models": {model.id: _opencode_model(model) for model in offered},
            }
        },
    }
    if first is not None:
        found["model"] = f"{PROVIDER}/{first.id}"
    if small is not None:
        found["small_model"] = f"{PROVIDER}/{small.id}"
    return found


def cline(catalogue: Catalogue) -> list[ClineModel]:
    """What Cline is to be told of each model, the best for code first."""
    offered = [model for model in _offered(catalogue) if model.clients.cline.context]
    good = best(offered, "code")
    return [
        ClineModel(
            model=model.id,
            context_window=model.clients.cline.context or 0,
            max_output=model.clients.cline.output,
            images=model.vision,
        )
        for model in [*good, *(model for model in offered if model not in good)]
    ]


def _offered(catalogue: Catalogue) -> Iterable[Model]:
    return (model for model in catalogue.models.values() if model.status in ("validated", "experimental"))


def _key(catalogue: Catalogue) -> str:
    return f"{{env:{KEY_VARIABLE}}}" if catalogue.settings.server.api_key_file else NO_KEY


def _opencode_model(model: Model) -> dict[str, Any]:
    limits = model.clients.opencode
    taken = ["text", "image"] if model.vision else ["text"]
    return {
        "name": model.description.partition(":")[0] or model.id,
        "limit": {"context": limits.context, **({"output": limits.output} if limits.output else {})},
        "tool_call": model.rewriting.tools != "strip",
        "reasoning": "reasoning-parser" in model.options,
        "attachment": model.vision,
        "modalities": {"input": taken, "output": ["text"]},
    }
