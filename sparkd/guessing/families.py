"""Families of models: vLLM's parsers for their tool calls and their reasoning.

It is a table, so that a new family is a new line. The names of parsers are those of vLLM 0.32. A test compares them
with the registries of the installed vLLM.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Family:
    """Models of these types whose name matches `name_pattern`. The first family that fits counts.

    `dedicated`: only this family uses its parsers, even if its chat template has the markers of other families.
    """

    name: str
    types: tuple[str, ...]
    tools: str | None = None
    reasoning: str | None = None
    name_pattern: str = ""
    dedicated: bool = False


_QWEN3 = ("qwen3", "qwen3_moe", "qwen3_next", "qwen3_vl", "qwen3_vl_moe")

FAMILIES: Final = (
    Family("gpt-oss", ("gpt_oss",), "openai", "openai_gptoss", dedicated=True),
    Family("Qwen3.5", ("qwen3_5", "qwen3_5_moe", "qwen3_5_text", "qwen3_5_moe_text"), "qwen3_coder", "qwen3"),
    Family("Qwen3 Coder", _QWEN3, "qwen3_coder", None, name_pattern="coder"),
    Family("Qwen3", _QWEN3, "hermes", "qwen3"),
    Family("QwQ", ("qwen2",), "hermes", "deepseek_r1", name_pattern="qwq"),
    Family(
        "DeepSeek R1 distilled", ("qwen2", "llama", "qwen3"), None, "deepseek_r1", name_pattern="r1.*distill"
    ),
    Family("Qwen2.5", ("qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl"), "hermes"),
    Family("Gemma 4", ("gemma4", "gemma4_text", "gemma4_unified"), "gemma4", "gemma4", dedicated=True),
    Family("Gemma", ("gemma", "gemma2", "gemma3", "gemma3_text", "gemma3n", "gemma3n_text")),
    Family("GLM 4.7", ("glm4_moe", "glm4_moe_lite"), "glm47", "glm47", name_pattern=r"4\.7", dedicated=True),
    Family("GLM", ("glm4_moe", "glm4_moe_lite", "glm4v", "glm4v_moe"), "glm45", "glm45", dedicated=True),
    Family("DeepSeek V4", ("deepseek_v4",), "deepseek_v4", "deepseek_v4", dedicated=True),
    Family("DeepSeek V3.2", ("deepseek_v32",), "deepseek_v32", "deepseek_v3", dedicated=True),
    Family(
        "DeepSeek V3.1",
        ("deepseek_v3",),
        "deepseek_v31",
        "deepseek_v3",
        name_pattern=r"v3\.1",
        dedicated=True,
    ),
    Family("DeepSeek R1", ("deepseek_v3",), "deepseek_v3", "deepseek_r1", name_pattern="r1", dedicated=True),
    Family("DeepSeek V3", ("deepseek_v3",), "deepseek_v3", dedicated=True),
    Family(
        "Mistral",
        ("mistral", "mistral3", "ministral3", "mixtral", "pixtral", "mistral4"),
        "mistral",
        "mistral",
    ),
    Family(
        "Nemotron 3",
        ("nemotron_h",),
        "qwen3_coder",
        "nemotron_v3",
        name_pattern="nemotron-?3|3-(nano|super|ultra)",
    ),
    Family("Nemotron", ("nemotron_h", "nemotron", "nemotron-nas")),
    Family("Llama 4", ("llama4", "llama4_text"), "llama4_pythonic", dedicated=True),
    Family("Llama 3", ("llama", "mllama"), "llama3_json", name_pattern=r"llama-?3\.[1-9]"),
    Family("Llama", ("llama", "mllama")),
    Family(
        "Phi 4 mini",
        ("phi3", "phi4mm", "phi4_multimodal"),
        "phi4_mini_json",
        name_pattern="mini|multimodal",
        dedicated=True,
    ),
    Family("Phi 4 reasoning", ("phi3",), None, "deepseek_r1", name_pattern="reasoning"),
    Family("Phi", ("phi", "phi3", "phimoe", "phi3_v", "phi4mm", "phi4_multimodal")),
    Family("Granite 4", ("granitemoehybrid",), "granite4", dedicated=True),
    Family("Granite", ("granite", "granitemoe"), "granite", "granite", dedicated=True),
    Family("MiniMax M2", ("minimax_m2",), "minimax_m2", "minimax_m2", dedicated=True),
    Family("Kimi K2", ("kimi_k2", "kimi_linear"), "kimi_k2", "kimi_k2", dedicated=True),
    Family("Seed OSS", ("seed_oss",), "seed_oss", "seed_oss", dedicated=True),
    Family("ERNIE 4.5", ("ernie4_5", "ernie4_5_moe"), "ernie45", "ernie45", dedicated=True),
    Family("Hunyuan A13B", ("hunyuan_v1_moe",), "hunyuan_a13b", "hunyuan_a13b", dedicated=True),
    Family("Step 3.5", ("step3p5",), "step3p5", "step3p5", dedicated=True),
    Family("MiMo", ("mimo", "mimo_v2"), "mimo", "mimo", dedicated=True),
    Family("OLMo 3", ("olmo3", "olmo_hybrid"), "olmo3", "olmo3", dedicated=True),
    Family("LFM2", ("lfm2", "lfm2_moe", "lfm2_vl"), "lfm2"),
    Family("Apertus", ("apertus",), "apertus", dedicated=True),
    Family("Jamba", ("jamba",), "jamba", dedicated=True),
    Family("InternLM", ("internlm2",), "internlm", dedicated=True),
    Family("Command A", ("cohere2",), "cohere_command3", "cohere_command3", dedicated=True),
    Family("EXAONE 4", ("exaone4", "exaone_moe"), "hermes"),
)

GENERAL_REASONING: Final = "deepseek_r1"
"""The parser for `<think>…</think>` at the start of a response, for any model."""

TOOL_PARSERS: Final = frozenset(family.tools for family in FAMILIES if family.tools)
REASONING_PARSERS: Final = frozenset(family.reasoning for family in FAMILIES if family.reasoning)


def find_family(model_types: Sequence[str], name: str) -> Family | None:
    """The family of a model with one of these types and this name, None if unknown."""
    for family in FAMILIES:
        if set(family.types) & set(model_types) and re.search(family.name_pattern, name, re.IGNORECASE):
            return family
    return None
