"""Finds the context length of a model.

It follows vLLM 0.32 (`_get_and_verify_max_len` in vllm/config/model.py), so that vLLM accepts the guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from sparkd.guessing.facts import MAX_TOKENS, Facts, JsonObject
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

MIN_CONTEXT: Final = 512
"""Tokens; a shorter context is useless for chat."""

MAX_GUESSED_CONTEXT: Final = 131072
"""Tokens; a longer context costs memory that few requests need."""


class ContextLimit(NamedTuple):
    """A number of tokens, and its source."""

    tokens: int
    reason: str


def context_limit(facts: Facts, kind: Kind) -> ContextLimit | None:
    """The longest context that the model supports, None if its files do not state one. Raises ModelNotAdded."""
    text = facts.text_config
    found = [ContextLimit(tokens, key) for key in KEYS if (tokens := text.count(key, MAX_TOKENS)) is not None]
    limit = min(found, key=lambda one: one.tokens) if found else None
    if limit is not None:
        limit = _subtract_padding(facts, _apply_rope_scaling(text, limit))
    tokenizer = _tokenizer_limit(facts)
    if limit is None or (kind != "chat" and tokenizer is not None and tokenizer.tokens < limit.tokens):
        limit = tokenizer
    limit_of_sentence = facts.sentence_bert.count("max_seq_length", MAX_TOKENS)
    if (
        kind != "chat"
        and limit_of_sentence is not None
        and (limit is None or limit_of_sentence < limit.tokens)
    ):
        limit = ContextLimit(limit_of_sentence, f"max_seq_length of {facts.sentence_bert.file}")
    return limit


def iter_rope_scalings(text: JsonObject) -> Iterator[JsonObject]:
    """The tables of rope scaling: one, or one per kind of layer."""
    for key in ("rope_scaling", "rope_parameters"):
        inner = text.table(key)
        tables = [name for name, value in inner.values.items() if isinstance(value, Mapping)]
        yield from [inner.table(name) for name in tables] or [inner]


def _apply_rope_scaling(text: JsonObject, limit: ContextLimit) -> ContextLimit:
    if "gemma3" in text.text("model_type"):
        return limit  # its max_position_embeddings include the scaling already
    for rope in iter_rope_scalings(text):
        kind = rope.text("rope_type") or rope.text("type") or "default"
        factor = rope.number("factor", 0.01, 10_000)
        if kind not in SCALED_ALREADY and factor is not None and factor != 1:
            return ContextLimit(
                int(limit.tokens * factor), f"{limit.reason} * {factor:g} ({kind} rope scaling)"
            )
    return limit


def _subtract_padding(facts: Facts, limit: ContextLimit) -> ContextLimit:
    # RoBERTa counts positions after its padding token, so it never uses the first ones.
    if not any("roberta" in name for name in facts.model_types):
        return limit
    lost = (facts.config.count("pad_token_id") or 0) + 1
    return ContextLimit(limit.tokens - lost, f"{limit.reason} - {lost} for padding")


def _tokenizer_limit(facts: Facts) -> ContextLimit | None:
    value = facts.tokenizer.values.get("model_max_length")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < NO_LIMIT:
        return None
    return ContextLimit(int(value), f"model_max_length of {facts.tokenizer.file}")
