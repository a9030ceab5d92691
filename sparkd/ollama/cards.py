"""A model's description for `/api/tags`, `/api/ps` and `/api/show`. Every field is always there: Zed, OllamaKit and
others reject an answer that lacks one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct

from sparkd.ollama.times import format_time

VERSION: Final = "0.13.0"
"""The version of Ollama whose API this is. VS Code wants 0.6.4 or newer."""

_SCALE: Final = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_size = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMBT])(?![A-Za-z0-9])", re.IGNORECASE)
_active = re.compile(r"(?:^|[-_])A[0-9.]+[BM]", re.IGNORECASE)
_quantization = re.compile(
    r"(?:^|[-_./ ])"
    r"(MXFP4|NVFP4|MXFP8|FP8|FP4|INT8|INT4|W4A16|W8A8|AWQ|GPTQ|BF16|FP16|Q[2-8](?:_[A-Z0-9]+)*)"
    r"(?![A-Z0-9])",
    re.IGNORECASE,
)


class ModelFacts(Struct, frozen=True, kw_only=True):
    """What is known of a model. Sizes are bytes, `modified` is in seconds since 1970; 0 and "" are unknown.

    `parameters` is text for people, such as "30B, 3B active". `abilities` are of "completion", "tools", "vision",
    "thinking", "embedding" and "insert".
    """

    id: str
    source: str = ""
    revision: str = ""
    family: str = ""
    parameters: str = ""
    quantization: str = ""
    architecture: str = ""
    context_length: int = 0
    embedding_length: int = 0
    size: int = 0
    modified: float = 0.0
    abilities: tuple[str, ...] = ()
    license: str = ""

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that stay the same as long as id, source and revision do."""
        return hashlib.sha256(f"{self.id}\n{self.source}\n{self.revision}".encode()).hexdigest()

    @property
    def parameter_count(self) -> int:
        """The number of parameters, by `parameters` or by a name."""
        found = _size.search(self.parameters) or _size.search(_active.sub("", f" {self.source} {self.id}"))
        return round(float(found[1]) * _SCALE[found[2].upper()]) if found else 0

    @property
    def parameter_size(self) -> str:
        """The same as Ollama writes it: "20.9B"."""
        count = self.parameter_count
        for unit, scale in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
            if count >= scale:
                return f"{count / scale:.1f}{unit}"
        return ""

    @property
    def quantization_level(self) -> str:
        """Such as "MXFP4"; "unknown", as Ollama has it, if nothing says it."""
        found = _quantization.search(f"{self.source} {self.id}")
        return (self.quantization or (found[1] if found else "unknown")).upper().replace("UNKNOWN", "unknown")


def version_document(own: str) -> dict[str, Any]:
    """The answer to `/api/version`; `own` is sparkd's."""
    return {"version": VERSION, "sparkd": own}


def tag(facts: ModelFacts) -> dict[str, Any]:
    """An entry of `/api/tags`."""
    return {
        "name": facts.id,
        "model": facts.id,
        "modified_at": format_time(facts.modified),
        "size": facts.size,
        "digest": facts.digest,
        "details": details(facts),
    }


def running(facts: ModelFacts, expires: float, size: int) -> dict[str, Any]:
    """An entry of `/api/ps`. `expires` is in seconds since 1970, `size` is the memory that it uses."""
    entry = tag(facts)
    del entry["modified_at"]
    return entry | {
        "size": size,
        "size_vram": size,
        "expires_at": format_time(expires),
        "context_length": facts.context_length,
    }


def details(facts: ModelFacts) -> dict[str, Any]:
    """The `details` of a model."""
    family = facts.family or facts.architecture or "unknown"
    return {
        "parent_model": "",
        "format": "safetensors",
        "family": family,
        "families": [family],
        "parameter_size": facts.parameter_size,
        "quantization_level": facts.quantization_level,
    }


def show(facts: ModelFacts) -> dict[str, Any]:
    """The answer to `/api/show`."""
    architecture = facts.architecture or facts.family or "unknown"
    return {
        "license": facts.license,
        "modelfile": "",
        "parameters": f"num_ctx {facts.context_length}" if facts.context_length else "",
        "template": _template(facts.abilities),
        "details": details(facts),
        "model_info": {
            "general.architecture": architecture,
            "general.basename": facts.source.rpartition("/")[2] or facts.id,
            "general.parameter_count": facts.parameter_count,
            f"{architecture}.context_length": facts.context_length,
            f"{architecture}.embedding_length": facts.embedding_length,
        },
        "capabilities": list(facts.abilities),
        "modified_at": format_time(facts.modified),
    }


def _template(abilities: Iterable[str]) -> str:
    """Clients look for `.Suffix` to find out whether a model fills in text; engines have the real template."""
    if "insert" in abilities:
        return "{{ .Prompt }}{{ .Suffix }}"
    return "" if "embedding" in abilities else "{{ .Prompt }}"
