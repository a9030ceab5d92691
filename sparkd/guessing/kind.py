"""Finds the kind of a model from its `architectures`, as vLLM does, and from the files beside its weights."""

from __future__ import annotations

from typing import Final, Literal

from sparkd.catalog.messages import format_value
from sparkd.errors import ModelNotAdded
from sparkd.guessing.facts import Facts

Kind = Literal["chat", "embedding", "reranker", "classifier"]

POOLING: Final[tuple[tuple[str, Kind], ...]] = (
    ("ForSequenceClassification", "classifier"),
    ("ForTokenClassification", "classifier"),
    ("ForTextEncoding", "embedding"),
    ("ForRewardModeling", "classifier"),
    ("RewardModel", "classifier"),
    ("ClassificationModel", "classifier"),
)
"""Endings of architectures that vLLM serves with its pooling runner."""

GENERATING: Final = ("ForCausalLM", "ForConditionalGeneration", "ChatModel", "LMHeadModel")

SPEECH: Final = ("whisper", "wav2vec2", "hubert", "parakeet", "speecht5", "vits", "bark", "seamless_m4t")
"""Model types of speech. vLLM transcribes with some of them, but these guesses do not apply to them."""

SENTENCE_TRANSFORMER_FILES: Final = (
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
)
"""Files that sentence-transformers writes beside an embedding model."""

ENCODERS: Final = (
    "bert",
    "roberta",
    "xlm-roberta",
    "distilbert",
    "mpnet",
    "nomic_bert",
    "modernbert",
    "new",
    "gte",
)
"""Model types that read a whole text at once and have no KV cache."""

BY_HAND = "write its entry by hand: docs/adding-models.md shows how"


def determine_kind(facts: Facts) -> tuple[Kind, str]:
    """The kind and the reason for it. Raises ModelNotAdded if the model cannot be guessed."""
    _reject_unsupported(facts)
    architecture = facts.architecture
    for ending, kind in POOLING:
        if architecture.endswith(ending):
            labels = facts.text_config.count("num_labels") or len(facts.config.table("id2label").values)
            ranks = kind == "classifier" and labels == 1
            return (
                "reranker" if ranks or "rerank" in facts.name.lower() else kind
            ), f"architecture {format_value(architecture)}"
    if marker_file := next((name for name in SENTENCE_TRANSFORMER_FILES if name in facts.files), None):
        return "embedding", f"it has {marker_file}"
    if architecture.endswith(GENERATING) or not architecture:
        return (
            "chat",
            f"architecture {format_value(architecture)}"
            if architecture
            else "config.json names no architecture",
        )
    return "embedding", f"architecture {format_value(architecture)}"


def is_encoder(facts: Facts) -> bool:
    """Whether it is an encoder, which has no KV cache."""
    return any(name in ENCODERS for name in facts.model_types)


def _reject_unsupported(facts: Facts) -> None:
    source, types = facts.source, facts.model_types
    if any(name.endswith(".gguf") for name in facts.files) and not facts.has_weights(".safetensors", ".bin"):
        raise ModelNotAdded(
            f"{source} has only GGUF weights, llama.cpp's format. Add the model that they were made from, or serve "
            f'the file with llama-server (engine = "command"); {BY_HAND}'
        )
    if "adapter_config.json" in facts.files and not facts.architecture:
        raise ModelNotAdded(
            f"{source} is an adapter (LoRA), not a model. Add its base model, and name the adapter in its options"
        )
    if "model_index.json" in facts.files and not facts.architecture:
        raise ModelNotAdded(f"{source} generates images (model_index.json), which no engine of sparkd serves")
    if not facts.empty and facts.config.file not in facts.files:
        raise ModelNotAdded(f"{source} has no {facts.config.file}, so engines cannot identify the model")
    if speech := next((name for name in types if name in SPEECH), None):
        raise ModelNotAdded(
            f"{source} is a speech model ({speech}), whose entry cannot be guessed; {BY_HAND}"
        )
    if facts.config.values.get("is_encoder_decoder") is True:
        which = format_value(types[0]) if types else "no model_type"
        raise ModelNotAdded(f"{source} is an encoder-decoder ({which}), which vLLM does not serve")
    if not facts.empty and not facts.architecture and not types:
        raise ModelNotAdded(
            f"{source}: its config.json names neither architectures nor a model_type, so engines cannot identify "
            f"the model; {BY_HAND}"
        )
