"""Claude Code, by environment variables in its `settings.json`.

Variables: https://code.claude.com/docs/en/env-vars and the program (2.1.332). A request may last API_TIMEOUT_MS
(600,000). A stream without bytes ends after CLAUDE_STREAM_IDLE_TIMEOUT_MS (300,000, at most 1,800,000), one without a
first byte after CLAUDE_STREAM_FIRST_BYTE_TIMEOUT_MS. API_FORCE_IDLE_TIMEOUT=0 removes the limit of its HTTP client.
CLAUDE_CODE_MAX_CONTEXT_TOKENS holds for models that it does not know. With CLAUDE_CODE_ATTRIBUTION_HEADER=0, its
system prompt does not begin with a line that changes with each request, so the engine can reuse the cached prefix.
"""

from __future__ import annotations

from typing import Any, Final

from sparkd.clients.configuration import ConfigFile, Configuration, Location, Removal
from sparkd.clients.offer import KEY_VARIABLE, Offer

LONGEST_IDLE: Final = 1_800_000
"""Milliseconds: the highest value of CLAUDE_STREAM_IDLE_TIMEOUT_MS that counts."""


def configure(offer: Offer) -> Configuration:
    """The variables, all of which are texts."""
    idle = min(offer.milliseconds, LONGEST_IDLE)
    main, small = offer.main, offer.small
    variables: dict[str, Any] = {
        "ANTHROPIC_BASE_URL": offer.origin,
        "ANTHROPIC_MODEL": main.id,
        "ANTHROPIC_DEFAULT_OPUS_MODEL": main.id,
        "ANTHROPIC_DEFAULT_SONNET_MODEL": main.id,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": small.id,
        "ANTHROPIC_SMALL_FAST_MODEL": small.id,
        "API_TIMEOUT_MS": str(offer.milliseconds),
        "CLAUDE_STREAM_IDLE_TIMEOUT_MS": str(idle),
        "CLAUDE_STREAM_FIRST_BYTE_TIMEOUT_MS": str(idle),
        "API_FORCE_IDLE_TIMEOUT": "0",
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
    }
    limits = {
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(main.context) if main.context else Removal(),
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(main.output) if main.output else Removal(),
    }
    # A variable in this file cannot refer to another one, but this command prints the key. The variable would win.
    helper = f"printenv {KEY_VARIABLE}"
    token = Removal() if offer.key.is_missing else offer.key.value("")
    content = {
        "env": {**variables, **limits, "ANTHROPIC_AUTH_TOKEN": token},
        "apiKeyHelper": helper if offer.key.is_missing else Removal(helper),
    }
    location = Location(("settings.json",), ".claude", "CLAUDE_CONFIG_DIR")
    return Configuration(
        files=(ConfigFile(location=location, format="json", content=content),),
        notes=("Its first prompt has about 20,000 tokens: use a model with a context of 32,768 or more.",),
    )
