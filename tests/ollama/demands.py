"""What strict clients demand of Ollama's documents: every field that their decoders require, with its type.

A field that is missing, null or of another type makes such a client fail. From the clients' own sources:
Zed crates/ollama/src/ollama.rs (serde), OllamaKit OKModelResponse.swift and OKChatResponse.swift (Codable), VS Code
ollamaProvider.ts, Open WebUI backend/open_webui/routers/ollama.py, Home Assistant components/ollama, n8n, Karakeep.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

Demands = Mapping[str, Any]

DETAILS: Final[Demands] = {
    "parent_model": str,
    "format": str,
    "family": str,
    "families": [str],
    "parameter_size": str,
    "quantization_level": str,
}
TAG: Final[Demands] = {
    "name": str,
    "model": str,
    "modified_at": str,
    "size": int,
    "digest": str,
    "details": DETAILS,
}
RUNNING: Final[Demands] = {
    "name": str,
    "model": str,
    "size": int,
    "digest": str,
    "details": DETAILS,
    "expires_at": str,
    "size_vram": int,
    "context_length": int,
}
SHOW: Final[Demands] = {
    "license": str,
    "modelfile": str,
    "parameters": str,
    "template": str,
    "details": DETAILS,
    "model_info": {
        "general.architecture": str,
        "general.basename": str,
        "general.parameter_count": int,
    },
    "capabilities": [str],
    "modified_at": str,
}
CHAT_PART: Final[Demands] = {
    "model": str,
    "created_at": str,
    "message": {"role": str, "content": str},
    "done": bool,
}
FIGURES: Final[Demands] = {
    "done_reason": str,
    "total_duration": int,
    "load_duration": int,
    "prompt_eval_count": int,
    "prompt_eval_duration": int,
    "eval_count": int,
    "eval_duration": int,
}
CHAT_END: Final[Demands] = {**CHAT_PART, **FIGURES}
GENERATE_PART: Final[Demands] = {"model": str, "created_at": str, "response": str, "done": bool}
GENERATE_END: Final[Demands] = {**GENERATE_PART, **FIGURES}
EMBED: Final[Demands] = {
    "model": str,
    "embeddings": [[float]],
    "total_duration": int,
    "load_duration": int,
    "prompt_eval_count": int,
}


def find_unmet(document: Any, demands: Any, where: str = "") -> Iterator[str]:
    """The demands that a document does not meet. Numbers must not be negative: Zed's sizes are unsigned."""
    if isinstance(demands, Mapping):
        if not isinstance(document, dict):
            yield f"{where or 'document'} is no object"
            return
        for name, demand in demands.items():
            if name in document:
                yield from find_unmet(document[name], demand, f"{where}.{name}")
            else:
                yield f"{where}.{name} is missing"
    elif isinstance(demands, list):
        if not isinstance(document, list):
            yield f"{where} is no list"
            return
        for number, entry in enumerate(document):
            yield from find_unmet(entry, demands[0], f"{where}[{number}]")
    elif type(document) is not demands:
        yield f"{where} is {document!r}, not {demands.__name__}"
    elif demands is int and document < 0:
        yield f"{where} is negative"
