"""Guesses context length and memory together: the model's limit, and what fits into the machine's memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sparkd.catalog.sizes import format_size
from sparkd.errors import ModelNotAdded
from sparkd.guessing.context import MAX_GUESSED_CONTEXT, MIN_CONTEXT, ContextLimit, context_limit
from sparkd.guessing.facts import Facts, Machine, Weights
from sparkd.guessing.guess import AS_GIVEN, AddOptions, GuessedEntry
from sparkd.guessing.kind import Kind, is_encoder
from sparkd.guessing.memory import (
    ROUNDING,
    KvCache,
    compute_cache,
    format_exact_size,
    overhead,
    plan_cache_tokens,
    round_up,
)

CONTEXT_STEP: Final = 1024
"""Tokens; a context that memory limits is a multiple of this."""

BYTES_OF_16_BITS: Final = 2
BYTES_OF_32_BITS: Final = 4
"""Bytes of a number: vLLM's cache has 16 bits, unless `dtype` selects 32."""

HALF_PRECISION: Final = ("bfloat16", "float16")

UNKNOWN_CACHE_DIVISOR: Final = 4
"""If config.json does not state the size of the KV cache, it is estimated as this fraction of the weights."""


def guess_sizes(
    entry: GuessedEntry, facts: Facts, machine: Machine, options: AddOptions, kind: Kind, *, gpu: bool
) -> None:
    """Guess `context_length`, `kv_cache` and `memory`, with the arithmetic. Raises ModelNotAdded if nothing fits."""
    width = BYTES_OF_32_BITS if entry.value("options.dtype") == "float32" else BYTES_OF_16_BITS
    cache = None if is_encoder(facts) else compute_cache(facts, width)
    plan = _MemoryPlan(facts, _loaded_weights(facts, width), machine, options, cache, overhead(gpu=gpu))
    context = _wanted_context(entry, facts, options, kind)
    if context is not None:
        context = plan.fit_context(context)
        entry.add("context_length", context.tokens, context.reason)
    plan.add_to(entry, context)


def _loaded_weights(facts: Facts, width: int) -> Weights:
    """The weights in memory: weights stored in 16 bits take twice the space if `dtype` selects 32."""
    stored = facts.weights
    if stored.bytes is None or width == BYTES_OF_16_BITS or facts.dtype not in HALF_PRECISION:
        return stored
    return Weights(stored.bytes * 2, f"{stored.basis} in {facts.dtype}, loaded as float32")


def _wanted_context(
    entry: GuessedEntry, facts: Facts, options: AddOptions, kind: Kind
) -> ContextLimit | None:
    limit = context_limit(facts, kind)
    if options.context is not None:
        if limit is not None and options.context > limit.tokens:
            raise ModelNotAdded(
                f"--context {options.context} is more than the model supports: {limit.tokens} ({limit.reason})"
            )
        return ContextLimit(options.context, AS_GIVEN)
    if limit is None:
        entry.warnings.append("its files do not state the context length. Set it with --context")
    elif limit.tokens > MAX_GUESSED_CONTEXT:
        return ContextLimit(MAX_GUESSED_CONTEXT, f"{limit.reason} is {limit.tokens}; set --context for more")
    return limit


@dataclass(frozen=True, slots=True)
class _MemoryPlan:
    """The model and everything else that needs memory, in bytes. `overhead`: vLLM itself."""

    facts: Facts
    weights: Weights
    machine: Machine
    options: AddOptions
    cache: KvCache | None
    overhead: int

    def fit_context(self, context: ContextLimit) -> ContextLimit:
        """The context, or as much of it as fits into memory. Raises ModelNotAdded if nothing fits, or if the requested
        context does not."""
        left = self._space_for_cache()
        if self.cache is None or left is None or context.tokens <= (fits := self.cache.tokens(left)):
            return context
        cut = fits // CONTEXT_STEP * CONTEXT_STEP or fits
        if self.options.context is not None:
            needed = format_size(self.cache.bytes(context.tokens))
            raise ModelNotAdded(
                f"a context of {context.tokens} does not fit: its KV cache needs {needed}, and "
                f"{format_size(left)} are left beside the weights. {cut} tokens fit"
            )
        if cut < min(MIN_CONTEXT, context.tokens):
            raise ModelNotAdded(
                f"{self.facts.source} does not fit: {format_size(left)} are left for its KV cache, enough for "
                f"{cut} tokens"
            )
        return ContextLimit(cut, f"what fits into memory; {context.reason} is {context.tokens}")

    def add_to(self, entry: GuessedEntry, context: ContextLimit | None) -> None:
        """Guess `kv_cache` and `memory`. Raises ModelNotAdded if there is too little memory."""
        weights = self.weights.bytes
        if weights is not None:
            self._space_for_cache()
            entry.arithmetic.append(f"{format_size(weights):>10}  weights: {self.weights.basis}")
            cache_size = self._guess_cache(entry, context)
            entry.arithmetic.append(f"{format_size(self.overhead):>10}  vLLM itself, as measured")
            together = round_up(weights + cache_size + self.overhead)
            entry.arithmetic.append(f"{format_size(together):>10}  total")
        if self.options.memory is not None:
            entry.add("memory", format_exact_size(self.options.memory), AS_GIVEN)
        elif weights is not None:
            entry.add("memory", format_exact_size(together), "weights, KV cache and vLLM itself")
        else:
            entry.warnings.append(
                "its files do not state the size of the weights, so its first start reserves the whole memory. "
                "Set a size with --memory"
            )

    def _space_for_cache(self) -> int | None:
        """The memory left for the KV cache, None if unknown. Raises ModelNotAdded if none is left."""
        weights, machine = self.weights.bytes, self.machine
        share = self.options.memory
        if share is None and machine.budget is not None:
            share = machine.budget - machine.utility_memory
        if weights is None or share is None:
            return None
        if share > weights + self.overhead + ROUNDING:
            return share - weights - self.overhead - ROUNDING
        beside = f" beside the utility model {machine.utility}" if machine.utility is not None else ""
        limit = "--memory is" if self.options.memory is not None else f"the memory for models{beside} is"
        raise ModelNotAdded(
            f"{self.facts.source} does not fit: its weights need {format_size(weights)} and vLLM itself "
            f"{format_size(self.overhead)}, but {limit} {format_size(max(0, share))}"
        )

    def _guess_cache(self, entry: GuessedEntry, context: ContextLimit | None) -> int:
        """Guess the KV cache, and return its bytes; 0 for a model without one."""
        if is_encoder(self.facts):
            return 0
        if self.cache is None or context is None:
            cache_size = round_up((self.weights.bytes or 0) // UNKNOWN_CACHE_DIVISOR)
            why = f"{self.facts.config.file} does not state its size; a quarter of the weights"
            entry.arithmetic.append(f"{format_size(cache_size):>10}  KV cache: {why}")
            return cache_size
        tokens, left = plan_cache_tokens(context.tokens), self._space_for_cache()
        if left is not None and self.cache.bytes(tokens) > left:
            tokens = context.tokens
        cache_size = round_up(self.cache.bytes(tokens))
        requests = "one request" if tokens == context.tokens else f"{tokens // context.tokens} requests"
        entry.add("kv_cache", format_exact_size(cache_size), f"room for {requests} of the full context")
        entry.arithmetic.append(f"{format_size(cache_size):>10}  KV cache: {self.cache.describe(tokens)}")
        return cache_size
