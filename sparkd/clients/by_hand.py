"""Clients that are configured in their own pages, or by variables of a container: the lines to paste.

Open WebUI: https://docs.openwebui.com/reference/env-configuration and backend/open_webui/env.py
(AIOHTTP_CLIENT_TIMEOUT, in seconds). Home Assistant: homeassistant/components/ollama/config_flow.py. n8n:
packages/@n8n/ nodes-langchain, credentials/OpenAiApi.credentials.ts and nodes/llms/LMChatOpenAi (`timeout` in
milliseconds, 60,000).
"""

from __future__ import annotations

from sparkd.clients.configuration import Configuration
from sparkd.clients.offer import KEY_VARIABLE, Offer


def configure_open_webui(offer: Offer) -> Configuration:
    """Variables for its container or its environment file."""
    return Configuration(
        lines=(
            f"OPENAI_API_BASE_URL={offer.base_url}",
            f"OPENAI_API_KEY={offer.key.value(f'${{{KEY_VARIABLE}}}')}",
            "ENABLE_OLLAMA_API=false",
            f"DEFAULT_MODELS={offer.main.id}",
            f"TASK_MODEL_EXTERNAL={offer.small.id}",
            f"AIOHTTP_CLIENT_TIMEOUT={offer.seconds}",
        ),
        notes=(
            "Open WebUI reads these at its first start. Afterwards, its Admin Panel has the valid settings.",
            "AIOHTTP_CLIENT_TIMEOUT always counts.",
            "In a container, 127.0.0.1 is the container: pass the machine's address with --url.",
        ),
    )


def configure_home_assistant(offer: Offer) -> Configuration:
    """What to enter for its Ollama integration, the only one in its core that accepts an address."""
    context = offer.main.context or 8192
    return Configuration(
        lines=(
            "Settings > Devices & services > Add integration > Ollama",
            f"URL: {offer.origin}",
            *((f"API key: {offer.key.value('one of your keys')}",) if offer.key.is_required else ()),
            f"Model: {offer.main.id}",
            f"Context window size: {context}",
        ),
        notes=(
            "Home Assistant waits 5 s for the list of models, and without limit for a response.",
            "sparkd ignores the context window size: a model's context is set in the catalogue.",
        ),
    )


def configure_n8n(offer: Offer) -> Configuration:
    """What to enter in its credential for OpenAI, and in the node that uses it."""
    return Configuration(
        lines=(
            "Credentials > Create credential > OpenAI",
            f"API Key: {offer.key.value('one of your keys')}",
            f"Base URL: {offer.base_url}",
            "In the node OpenAI Chat Model:",
            f"Model: {offer.main.id} (choose By ID)",
            f"Options > Timeout: {offer.milliseconds}",
        ),
        notes=(
            "The node's timeout is 60,000 ms unless you set it, which is too short for a model that loads.",
        ),
    )
