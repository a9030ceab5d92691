"""Context length and memory, which depend on each other: what the model was made for, and what the machine can hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sparkd.catalog.sizes import size_text
from sparkd.errors import ModelNotAdded
from sparkd.guessing.context import MOST_GUESSED, SMALLEST, Limit, context_limit
from sparkd.guessing.facts import Facts, Machine, Weights
from sparkd.guessing.guess import SAID, Guessed, Wishes
from sparkd.guessing.kind import Kind, keeps_no_cache
from sparkd.guessing.memory import ROUNDING, Cache, cache_of, overhead, rounded, tokens_wanted, written

WHOLE: Final = 1024
"""Tokens; a context that memory has cut is a multiple of it."""

NARROW: Final = 2
WIDE: Final = 4
"""Bytes of a number: vLLM keeps its cache in 16 bits unless it is told to calculate in 32."""

HALVES: Final = ("bfloat16", "float16")

UNTOLD: Final = 4
"""Where config.json does not say how large the KV cache is, this part of the weights is taken for it."""


def guess_room(
    guessed: Guessed, facts: Facts, machine: Machine, wishes: Wishes, kind: Kind, *, gpu: bool
) -> None:
    """Guess `context_length`, `kv_cache` and `memory`, with the arithmetic. Raises ModelNotAdded if it cannot fit."""
    width = WIDE if guessed.value("options.dtype") == "float32" else NARROW
    cache = None if keeps_no_cache(facts) else cache_of(facts, width)
    room = _Room(facts, _loaded(facts, width), machine, wishes, cache, overhead(gpu=gpu))
    context = _context(guessed, facts, wishes, kind)
    if context is not None:
        context = room.fitted(context)
        guessed.add("context_length", context.tokens, context.reason)
    room.sum_up(guessed, context)


def _loaded(facts: Facts, width: int) -> Weights:
    """The weights as they are in memory: those stored in 16 bits become twice as large where 32 are calculated with."""
    stored = facts.weights
    if stored.bytes is None or width == NARROW or facts.dtype not in HALVES:
        return stored
    return Weights(stored.bytes * 2, f"{stored.basis} in {facts.dtype}, loaded as float32")


def _context(guessed: Guessed, facts: Facts, wishes: Wishes, kind: Kind) -> Limit | None:
    limit = context_limit(facts, kind)
    if wishes.context is not None:
        if limit is not None and wishes.context > limit.tokens:
            raise ModelNotAdded(
                f"--context {wishes.context} is more than the model supports: {limit.tokens} ({limit.reason})"
            )
        return Limit(wishes.context, SAID)
    if limit is None:
        guessed.warnings.append("its files do not state the context length. Set it with --context")
    elif limit.tokens > MOST_GUESSED:
        return Limit(MOST_GUESSED, f"{limit.reason} is {limit.tokens}; set --context for more")
    return limit


@dataclass(frozen=True, slots=True)
class _Room:
    """A model beside what else needs memory, in bytes. `besides`: what vLLM takes for itself."""

    facts: Facts
    weights: Weights
    machine: Machine
    wishes: Wishes
    cache: Cache | None
    besides: int

    def fitted(self, context: Limit) -> Limit:
        """The context, or as much of it as memory holds. Raises ModelNotAdded where that is none, or what was asked
        for does not fit."""
        left = self._left()
        if self.cache is None or left is None or context.tokens <= (fits := self.cache.tokens(left)):
            return context
        cut = fits // WHOLE * WHOLE or fits
        if self.wishes.context is not None:
            needed = size_text(self.cache.bytes(context.tokens))
            raise ModelNotAdded(
                f"a context of {context.tokens} does not fit: its KV cache needs {needed}, and "
                f"{size_text(left)} are left beside the weights. {cut} tokens fit"
            )
        if cut < min(SMALLEST, context.tokens):
            raise ModelNotAdded(
                f"{self.facts.source} does not fit: {size_text(left)} are left for its KV cache, enough for "
                f"{cut} tokens"
            )
        return Limit(cut, f"what fits into memory; {context.reason} is {context.tokens}")

    def sum_up(self, guessed: Guessed, context: Limit | None) -> None:
        """Guess `kv_cache` and `memory`. Raises ModelNotAdded where there is too little."""
        weights = self.weights.bytes
        if weights is not None:
            self._left()
            guessed.arithmetic.append(f"{size_text(weights):>10}  weights: {self.weights.basis}")
            kept = self._kept(guessed, context)
            guessed.arithmetic.append(f"{size_text(self.besides):>10}  vLLM itself, as measured")
            together = rounded(weights + kept + self.besides)
            guessed.arithmetic.append(f"{size_text(together):>10}  total")
        if self.wishes.memory is not None:
            guessed.add("memory", written(self.wishes.memory), SAID)
        elif weights is not None:
            guessed.add("memory", written(together), "weights, KV cache and vLLM itself")
        else:
            guessed.warnings.append(
                "its files do not state the size of the weights, so its first start reserves the whole memory. "
                "Set a size with --memory"
            )

    def _left(self) -> int | None:
        """What is left for the KV cache; None where nobody knows. Raises ModelNotAdded where there is nothing left."""
        weights, machine = self.weights.bytes, self.machine
        share = self.wishes.memory
        if share is None and machine.budget is not None:
            share = machine.budget - machine.beside
        if weights is None or share is None:
            return None
        if share > weights + self.besides + ROUNDING:
            return share - weights - self.besides - ROUNDING
        beside = f" beside the utility model {machine.utility}" if machine.utility is not None else ""
        limit = "--memory is" if self.wishes.memory is not None else f"the memory for models{beside} is"
        raise ModelNotAdded(
            f"{self.facts.source} does not fit: its weights need {size_text(weights)} and vLLM itself "
            f"{size_text(self.besides)}, but {limit} {size_text(max(0, share))}"
        )

    def _kept(self, guessed: Guessed, context: Limit | None) -> int:
        """Bytes of the KV cache, which is guessed where the model has one."""
        if keeps_no_cache(self.facts):
            return 0
        if self.cache is None or context is None:
            kept = rounded((self.weights.bytes or 0) // UNTOLD)
            why = f"{self.facts.config.file} does not state its size; a quarter of the weights"
            guessed.arithmetic.append(f"{size_text(kept):>10}  KV cache: {why}")
            return kept
        tokens, left = tokens_wanted(context.tokens), self._left()
        if left is not None and self.cache.bytes(tokens) > left:
            tokens = context.tokens
        kept = rounded(self.cache.bytes(tokens))
        requests = "one request" if tokens == context.tokens else f"{tokens // context.tokens} requests"
        guessed.add("kv_cache", written(kept), f"room for {requests} of the full context")
        guessed.arithmetic.append(f"{size_text(kept):>10}  KV cache: {self.cache.told(tokens)}")
        return kept
