"""Prompts that have a model fill in the text between a prefix and a suffix, by families that were trained to do so.

Engines take a `suffix` only for some tokenizers, so the prompt is written out with the special tokens of the family.
"""

from __future__ import annotations

from typing import Final

_QWEN: Final = "<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>"
_STARCODER: Final = "<fim_prefix>{prefix}<fim_suffix>{suffix}<fim_middle>"
_TEMPLATES: Final = (
    ("qwen2.5-coder", _QWEN),
    ("qwen3-coder", _QWEN),
    ("codegemma", _QWEN),
    ("starcoder", _STARCODER),
    ("granite", _STARCODER),
    ("codestral", "[SUFFIX]{suffix}[PREFIX]{prefix}"),
    ("deepseek-coder", "<｜fim▁begin｜>{prefix}<｜fim▁hole｜>{suffix}<｜fim▁end｜>"),  # noqa: RUF001  # its tokens
    ("codellama", "<PRE> {prefix} <SUF>{suffix} <MID>"),
)
"""What a model's names contain in lower case, and the prompt of its family."""


def find_infill_template(*names: str | None) -> str | None:
    """The template of the family that one of a model's names shows, None if none does."""
    folded = " ".join(name or "" for name in names).lower().replace("_", "-")
    return next((template for part, template in _TEMPLATES if part in folded), None)


def fill_in(template: str, prefix: str, suffix: str) -> str:
    """The prompt. The texts may have braces in them."""
    before, _, rest = template.partition("{prefix}")
    middle, _, after = rest.partition("{suffix}")
    if "{suffix}" in before:
        start, _, between = before.partition("{suffix}")
        return start + suffix + between + prefix + rest
    return before + prefix + middle + suffix + after
