"""Estimates the tokens of a text without a tokenizer: counts characters by script, in one pass at the speed of C.

In UTF-8, the first byte of a character nearly always determines its script. So the bytes of a text are translated to
classes, and the classes are counted. The tokens per character of each class were fitted to tokenizers on texts in many
languages and on code; benchmarks/estimating.py prints the remaining error. "large" was fitted to the vocabularies of
Qwen, Llama 3 and 4, gpt-oss, DeepSeek and Mistral Nemo, "small" to those of SmolLM2 and Mistral 7B.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sparkd.catalog.rewriting import Tokenizer


class TokenEstimate(NamedTuple):
    """The most likely number of tokens, and the smallest possible number."""

    likely: float
    least: float


class _CharacterClass(NamedTuple):
    """First bytes of the characters of a class, tokens per character, and the smallest share of these."""

    lead_bytes: tuple[int, ...]
    large: float
    small: float
    least: float


_CLASSES: Mapping[str, _CharacterClass] = {
    "lower": _CharacterClass(tuple(range(0x61, 0x7B)), 0.20, 0.19, 0.85),
    "upper": _CharacterClass(tuple(range(0x41, 0x5B)), 0.95, 1.30, 0.30),
    "digit": _CharacterClass(tuple(range(0x30, 0x3A)), 0.92, 1.10, 0.35),
    "space": _CharacterClass((0x20, 0x09), 0.27, 0.30, 0.60),
    "line": _CharacterClass((0x0A, 0x0D), 0.30, 1.00, 0.10),
    "punctuation": _CharacterClass(
        (*range(0x21, 0x30), *range(0x3A, 0x41), *range(0x5B, 0x61), *range(0x7B, 0x80)), 0.42, 0.48, 0.30
    ),
    "latin": _CharacterClass(tuple(range(0xC2, 0xCE)), 1.00, 2.80, 0.40),
    "greek": _CharacterClass((0xCE, 0xCF), 0.54, 1.05, 0.60),
    "cyrillic": _CharacterClass((0xD0, 0xD1, 0xD2, 0xD3), 0.33, 0.70, 0.55),
    "armenian, hebrew": _CharacterClass((0xD4, 0xD5, 0xD6, 0xD7), 0.56, 1.22, 0.55),
    "arabic": _CharacterClass((0xD8, 0xD9, 0xDA, 0xDB), 0.37, 1.08, 0.70),
    "syriac, n'ko": _CharacterClass((0xDC, 0xDD, 0xDE, 0xDF), 1.00, 2.00, 0.40),
    "indic, thai": _CharacterClass((0xE0,), 0.55, 1.50, 0.40),
    "georgian, ethiopic, khmer": _CharacterClass((0xE1,), 0.90, 1.70, 0.35),
    "marks": _CharacterClass((0xE2,), 2.00, 3.00, 0.30),
    "kana": _CharacterClass((0xE3,), 0.72, 1.45, 0.55),
    "han": _CharacterClass(tuple(range(0xE4, 0xEA)), 0.76, 1.70, 0.55),
    "hangul": _CharacterClass((0xEA, 0xEB, 0xEC, 0xED), 0.75, 2.10, 0.55),
    "full width": _CharacterClass((0xEE, 0xEF), 1.70, 2.00, 0.30),
    "emoji": _CharacterClass((0xF0, 0xF1, 0xF2, 0xF3, 0xF4), 2.00, 2.50, 0.50),
}

_TOKENS_PER_SPACE_PAIR = {"large": 0.40, "small": 0.30}
"""Tokens for two spaces in a row: code is indented, and an indentation is one or two tokens."""

_DEAREST_LARGE = max(class_.large for class_ in _CLASSES.values())
_DEAREST_SMALL = max(class_.small for class_ in _CLASSES.values())

_WEIGHTS = {
    "large": {name: (class_.large, class_.least) for name, class_ in _CLASSES.items()},
    "small": {name: (class_.small, class_.least) for name, class_ in _CLASSES.items()},
}
"""Tokens per character of a class, and the smallest share of these, by size."""

_NOTHING = TokenEstimate(0.0, 0.0)

_MOST_COMMON = "lower"
_CODES = {name: 0x80 + place for place, name in enumerate(_CLASSES)}
_ASCII: tuple[str, ...] = ("upper", "digit", "space", "line", "punctuation")
_NON_ASCII = tuple(name for name in _CLASSES if name not in (_MOST_COMMON, *_ASCII))
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))
"""Bytes that continue a character."""

_NOT_OTHERS = bytes(range(0x80)) + _CONTINUATION_BYTES
_NOT_ASCII = _CONTINUATION_BYTES + bytes(lead for name in _NON_ASCII for lead in _CLASSES[name].lead_bytes)
"""Bytes removed from a text before the classes of other scripts, and those of ASCII, are counted."""


def _build_table() -> bytes:
    table = bytearray(256)
    for name, (lead_bytes, *_) in _CLASSES.items():
        for lead in lead_bytes:
            table[lead] = _CODES[name]
    return bytes(table)


_TABLE = _build_table()


def estimate_max_tokens(size: int, tokenizer: Tokenizer) -> float:
    """An upper bound of `tokens_in` for any text of `size` bytes."""
    return size * (_DEAREST_SMALL if tokenizer == "small" else _DEAREST_LARGE)


def estimate_tokens(data: bytes, tokenizer: Tokenizer) -> TokenEstimate:
    """The estimated number of tokens of a text in UTF-8."""
    if not data:
        return _NOTHING
    size = "small" if tokenizer == "small" else "large"
    pairs = data.count(b"  ")
    likely = pairs * _TOKENS_PER_SPACE_PAIR[size]
    least = 0.0
    weights = _WEIGHTS[size]
    for name, count in _count_classes(data).items():
        weight, least_share = weights[name]
        tokens = (count - 2 * pairs if name == "space" else count) * weight
        likely += tokens
        least += tokens * least_share
    return TokenEstimate(likely, least)


def _count_classes(data: bytes) -> dict[str, int]:
    """Count characters by class.

    The most common class is what remains: a count costs by the hit. Other scripts are counted apart: a text in a
    Latin script has few of their characters, a text in another script few of ASCII.
    """
    others: dict[str, int] = {}
    if data.isascii():
        classes = data.translate(_TABLE)
    else:
        classes = data.translate(_TABLE, _NOT_ASCII)
        lead_bytes = data.translate(_TABLE, _NOT_OTHERS)
        others = {name: lead_bytes.count(_CODES[name]) for name in _NON_ASCII}
    counts = {name: classes.count(_CODES[name]) for name in _ASCII}
    common = len(classes) - sum(counts.values())
    return counts | others | {_MOST_COMMON: common}
