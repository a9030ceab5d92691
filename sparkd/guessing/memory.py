"""Estimates the memory of a model in bytes: weights, a KV cache for its context, and the engine itself.

The KV cache of a layer is, per token, keys and values of each of its heads (or the one latent vector of MLA). Layers
with a sliding window keep the window; layers with a state (Mamba, linear attention) keep it per request, not per token.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

from sparkd.catalog.quantities import GIB, MIB
from sparkd.catalog.sizes import format_size, parse_size
from sparkd.engines.flags import ENGINE_OVERHEAD
from sparkd.guessing.facts import MAX_LAYERS, MAX_TOKENS, Facts, JsonObject

CPU_OVERHEAD: Final = 1792 * MIB
"""The memory of vLLM's three processes without a GPU, without weights and KV cache: measured 1.3 to 1.8 GiB."""

SMALL_STEP: Final = 64 * MIB
TENTHS: Final = 10
"""Sizes are rounded up: below a GiB to 64 MiB, above to a tenth of a GiB, as people write them."""

ROUNDING: Final = GIB // 4
"""The most that rounding up two sizes can add."""

PREFILL: Final = 8192
"""Tokens that a layer with a sliding window keeps in addition to its window: one step of a prefill."""

REQUESTS: Final = 8
"""States kept at once, one per request."""

SHORT: Final = 8192
"""Tokens. Up to this context the cache has room for four full requests, beyond it for one."""

LATENT: Final = "kv_lora_rank"
"""Models with MLA keep one vector of this length, plus `qk_rope_head_dim`, instead of keys and values."""

LAYERS: Final = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
HEADS: Final = ("num_attention_heads", "n_head", "n_heads", "num_heads")
KV_HEADS: Final = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num")
WIDTHS: Final = ("hidden_size", "n_embd", "d_model")

FULL: Final = ("full_attention", "attention", "hybrid")
WINDOW: Final = ("sliding_attention", "chunked_attention")
STATE: Final = ("linear_attention", "mamba", "mamba2", "conv", "recurrent")


@dataclass(frozen=True, slots=True)
class KvCache:
    """The parts of a KV cache: layers that keep every token (`full`), and layers that keep a window or a state.

    Sizes are bytes per token and layer; `state` is bytes per request and layer.
    """

    full: int
    windowed: int
    states: int
    token: int
    window_token: int
    window: int
    state: int
    formula: str

    def bytes(self, tokens: int) -> int:
        """The size of the cache for this many tokens."""
        windowed = self.windowed * self.window_token * min(tokens, self.window + PREFILL)
        return self.full * self.token * tokens + windowed + self.states * self.state * REQUESTS

    def tokens(self, room: int) -> int:
        """The most tokens whose cache fits into this many bytes."""
        low, high = 0, MAX_TOKENS
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.bytes(middle) <= room else (low, middle - 1)
        return low

    def describe(self, tokens: int) -> str:
        """The arithmetic as text."""
        parts = [f"{self.full} layers * {self.formula} * {tokens} tokens"] if self.full else []
        if self.windowed:
            kept = min(tokens, self.window + PREFILL)
            parts.append(
                f"{self.windowed} layers * {self.window_token} bytes * {kept} tokens in a sliding window"
            )
        if self.states and self.state:
            parts.append(f"{self.states} layers * {format_size(self.state)} of state * {REQUESTS} requests")
        return " + ".join(parts)


def compute_cache(facts: Facts, width: int) -> KvCache | None:
    """The KV cache of a model whose numbers have `width` bytes. None if config.json has too little information.

    Raises ModelNotAdded for impossible numbers.
    """
    text = facts.text_config
    layers = text.first_count(LAYERS, MAX_LAYERS)
    kinds = layer_kinds(text, layers or 0)
    token, formula = _bytes_per_token(text, width)
    if not kinds or token is None:
        return None
    everywhere = token if text.count("global_head_dim") is None else _global_bytes_per_token(text, width)
    if everywhere != token:
        formula = f"{everywhere} bytes"
    return KvCache(
        full=kinds.count("full"),
        windowed=kinds.count("window"),
        states=kinds.count("state"),
        token=everywhere,
        window_token=token,
        window=text.count("sliding_window", MAX_TOKENS)
        or text.count("attention_chunk_size", MAX_TOKENS)
        or 0,
        state=_state_size(text, width),
        formula=formula,
    )


def plan_cache_tokens(context: int) -> int:
    """Tokens for which the KV cache should have room, for a context of that length."""
    return context * 4 if context <= SHORT else context


def overhead(*, gpu: bool) -> int:
    """The memory of vLLM itself."""
    return ENGINE_OVERHEAD if gpu else CPU_OVERHEAD


def round_up(size: int) -> int:
    """A size rounded up, so that its text has exactly that size."""
    if size <= GIB:
        return ceil(size / SMALL_STEP) * SMALL_STEP
    return round(ceil(size * TENTHS / GIB) / TENTHS * GIB)


def format_exact_size(size: int) -> str | int:
    """A size for the catalogue: text, unless the text would be a different size."""
    text = format_size(size)
    return text if parse_size(text) == size else size


def layer_kinds(text: JsonObject, layers: int) -> list[str]:
    """What each layer with its own KV cache keeps: "full", "window" or "state"."""
    named = text.texts("layer_types") or text.texts("layers_block_type")
    if pattern := text.text("hybrid_override_pattern"):  # Nemotron H: M Mamba, * attention, - and E neither
        named = tuple({"M": "mamba", "*": "attention"}.get(letter, "other") for letter in pattern)
    if named:
        kinds = [_layer_kind(name) for name in named]
        shared = (
            text.count("num_kv_shared_layers", MAX_LAYERS) or 0
        )  # Gemma's last layers share earlier ones' cache
        return [kind for kind in kinds[: len(kinds) - shared] if kind]
    if every := text.first_count(("full_attention_interval", "attn_layer_period"), MAX_LAYERS):
        return ["full" if (at + 1) % every == 0 else "state" for at in range(layers)]
    if text.count("sliding_window", MAX_TOKENS) is None or text.values.get("use_sliding_window") is False:
        return ["full"] * layers
    usual = (
        6 if text.text("model_type").startswith("gemma3") else 2 if text.text("model_type") == "gemma2" else 0
    )
    every = text.count("sliding_window_pattern", MAX_LAYERS) or usual
    return ["full" if every and (at + 1) % every == 0 else "window" for at in range(layers)]


def _layer_kind(name: str) -> str:
    return "full" if name in FULL else "window" if name in WINDOW else "state" if name in STATE else ""


def _bytes_per_token(text: JsonObject, width: int) -> tuple[int | None, str]:
    if (latent := text.count(LATENT)) is not None:
        rope = text.count("qk_rope_head_dim") or 0
        return (latent + rope) * width, f"({latent} + {rope}) * {width} bytes"
    heads = text.first_count(HEADS)
    kv_heads = text.first_count(KV_HEADS) or heads
    size = _head_size(text, heads)
    if kv_heads is None or size is None:
        return None, ""
    return 2 * kv_heads * size * width, f"2 * {kv_heads} heads * {size} * {width} bytes"


def _head_size(text: JsonObject, heads: int | None) -> int | None:
    across = text.first_count(WIDTHS)
    return text.count("head_dim") or (across // heads if across and heads and across >= heads else None)


def _global_bytes_per_token(text: JsonObject, width: int) -> int:
    """Bytes per token of Gemma 4's full layers, which have other heads than its layers with a window."""
    heads = (
        text.count("num_global_key_value_heads") or text.first_count(KV_HEADS) or text.first_count(HEADS) or 1
    )
    return 2 * heads * (text.count("global_head_dim") or 1) * width


def _state_size(text: JsonObject, width: int) -> int:
    """Bytes of the state of one layer for one request: Mamba 2 or gated delta nets. Convolutions are small."""
    heads = text.first_count(("mamba_num_heads", "linear_num_value_heads"))
    one = text.first_count(("mamba_head_dim", "linear_key_head_dim"))
    other = text.first_count(("ssm_state_size", "linear_value_head_dim"))
    return (heads or 0) * (one or 0) * (other or 0) * max(width, 4)
