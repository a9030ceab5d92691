"""Finds the context length of a model.

It follows vLLM 0.32 (`_get_and_verify_max_len` in vllm/config/model.py), so that vLLM accepts the guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from sparkd.guessing.facts import MOST_TOKENS, Facts, Table
from sparkd.guessing.kind import Kind

KEYS: Final = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "model_max_length",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
)
"""Keys of config.json. The smallest value counts."""

SCALED_ALREADY: Final = frozenset(
    {"default", "su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling", "mrope"}
)
"""Kinds of rope scaling that max_position_embeddings includes already. Other kinds multiply it by a factor."""

NO_LIMIT: Final = 10**7
"""Larger values mean no limit: tokenizer_config.json then has 10^30."""

SMALLEST: Final = 512
"""Tokens; a shorter context is useless for chat."""

MOST_GUESSED: Final = 131072
"""Tokens; a longer context costs memory that few requests need."""


class Limit(NamedTuple):
    """A number of tokens, and its source."""

    tokens: int
    reason: str


def context_limit(facts: Facts, kind: Kind) -> Limit | None:
    """The longest context that the model supports, None if its files do not state one. Raises ModelNotAdded."""
    text = facts.text_config
    found = [Limit(tokens, key) for key in KEYS if (tokens := text.count(key, MOST_TOKENS)) is not None]
    limit = min(found, key=lambda one: one.tokens) if found else None
    if limit is not None:
        limit = _without_padding(facts, _scaled(text, limit))
    tokenizer = _tokenizers_limit(facts)
    if limit is None or (kind != "chat" and tokenizer is not None and tokenizer.tokens < limit.tokens):
        limit = tokenizer
    sentence = facts.sentence.count("max_seq_length", MOST_TOKENS)
    if kind != "chat" and sentence is not None and (limit is None or sentence < limit.tokens):
        limit = Limit(sentence, f"max_seq_length of {facts.sentence.file}")
    return limit


def ropes(text: Table) -> Iterator[Table]:
    """The tables of rope scaling: one, or one per kind of layer."""
    for key in ("rope_scaling", "rope_parameters"):
        inner = text.table(key)
        tables = [name for name, value in inner.values.items() if isinstance(value, Mapping)]
        yield from [inner.table(name) for name in tables] or [inner]


def _scaled(text: Table, limit: Limit) -> Limit:
    if "gemma3" in text.text("model_type"):
        return limit  # its max_position_embeddings include the scaling already
    for rope in ropes(text):
        kind = rope.text("rope_type") or rope.text("type") or "default"
        factor = rope.number("factor", 0.01, 10_000)
        if kind not in SCALED_ALREADY and factor is not None and factor != 1:
            return Limit(int(limit.tokens * factor), f"{limit.reason} * {factor:g} ({kind} rope scaling)")
    return limit


def _without_padding(facts: Facts, limit: Limit) -> Limit:
    # RoBERTa counts positions after its padding token, so it never uses the first ones.
    if not any("roberta" in name for name in facts.model_types):
        return limit
    lost = (facts.config.count("pad_token_id") or 0) + 1
    return Limit(limit.tokens - lost, f"{limit.reason} - {lost} for padding")


def _tokenizers_limit(facts: Facts) -> Limit | None:
    value = facts.tokenizer.values.get("model_max_length")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < NO_LIMIT:
        return None
    return Limit(int(value), f"model_max_length of {facts.tokenizer.file}")
