"""LiteLLM's proxy, in the file that `litellm --config` reads.

Keys: https://docs.litellm.ai/docs/proxy/configs and /docs/proxy/timeout: `timeout` (600 s) is for a whole response,
`stream_timeout` for the first chunk of a stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkd.clients.configuration import ConfigFile, Configuration, Items
from sparkd.clients.offer import KEY_VARIABLE, Offer, OfferedModel

_KEY_REFERENCE = f"os.environ/{KEY_VARIABLE}"


def configure(offer: Offer) -> Configuration:
    """Each model under its own name."""
    chatting = [_describe_model(model, offer) for model in offer.models]
    embedding = [{**_connect(name, offer), "model_info": {"mode": "embedding"}} for name in offer.embedding]

    def is_ours(item: Mapping[str, Any]) -> bool:
        parameters = item.get("litellm_params")
        if not isinstance(parameters, Mapping):
            return False
        return parameters.get("api_base") == offer.base_url or parameters.get("api_key") == _KEY_REFERENCE

    file = ConfigFile(
        location=None,
        format="yaml",
        content={"model_list": [*chatting, *embedding]},
        items={("model_list",): Items("model_name", is_ours)},
    )
    return Configuration(files=(file,))


def _connect(model: str, offer: Offer) -> dict[str, Any]:
    parameters = {
        "model": f"openai/{model}",
        "api_base": offer.base_url,
        "api_key": offer.key.value(_KEY_REFERENCE),
        "timeout": offer.seconds,
        "stream_timeout": offer.seconds,
    }
    return {"model_name": model, "litellm_params": parameters}


def _describe_model(model: OfferedModel, offer: Offer) -> dict[str, Any]:
    limits = {"max_input_tokens": model.context, "max_output_tokens": model.output} if model.context else {}
    info = {
        "mode": "chat",
        **limits,
        "supports_function_calling": model.has_tools,
        "supports_vision": model.has_vision,
        "supports_reasoning": model.has_reasoning,
    }
    return {**_connect(model.id, offer), "model_info": info}
