"""Codex, in its `config.toml`.

Keys: https://developers.openai.com/codex/config-reference and codex-rs/model-provider-info/src/lib.rs (0.171). Codex
counts events, not bytes: without one for `stream_idle_timeout_ms` (300,000) it gives up. It retries a failed request
`request_max_retries` times (4), at first after 200 ms, then each time after twice as long, and ignores Retry-After; 8
retries last about a minute.
"""

from __future__ import annotations

from typing import Any, Final

from sparkd.clients.configuration import ConfigFile, Configuration, Location, Removal
from sparkd.clients.offer import KEY_VARIABLE, PROVIDER, Offer

RETRIES: Final = 8


def configure(offer: Offer) -> Configuration:
    """The provider `sparkd`, and its main model. Codex uses one model, and only the responses API."""
    provider: dict[str, Any] = {
        "name": PROVIDER,
        "base_url": offer.base_url,
        "wire_api": "responses",
        "request_max_retries": RETRIES,
        "stream_idle_timeout_ms": offer.milliseconds,
    }
    # With a variable that is not set, Codex ends. So it is only named if there has to be one.
    provider["env_key"] = KEY_VARIABLE if offer.key.is_missing else Removal()
    provider["experimental_bearer_token"] = offer.key.secret or Removal()
    content = {
        "model": offer.main.id,
        "model_provider": PROVIDER,
        "model_context_window": offer.main.context or Removal(),
        "model_providers": {PROVIDER: provider},
    }
    location = Location(("config.toml",), ".codex", "CODEX_HOME")
    return Configuration(
        files=(ConfigFile(location=location, format="toml", content=content),),
        notes=("Codex warns that it has no metadata for the model. The warning is harmless.",),
    )
