"""How many tokens an event of a stream has: one, or several where an engine predicts tokens ahead or sends them in
batches. Learned from finished streams, for each model."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from sparkd.gateway.measuring.measured_request import MeasuredRequest

_LEAST: Final = 8.0
"""Events of a stream that teaches something. In shorter ones, the events without a token count too much."""

_WEIGHT: Final = 0.3
"""Of the newest stream."""

_APIS: Final = (b"/v1/chat/completions", b"/v1/completions")
"""Paths whose streams teach: nearly all of their events have tokens. Others end with an event that repeats the text."""


class TokenRates:
    """The tokens per event of each model."""

    def __init__(self) -> None:
        self._rates: dict[str, float] = {}

    def estimate(self, measured: MeasuredRequest) -> float:
        """The tokens that a request has got so far."""
        return measured.events * self._rates.get(measured.prepared.model.id, 1.0)

    def learn(self, measured: MeasuredRequest, tokens_out: int | None) -> None:
        """Learn from a stream that has ended."""
        events = measured.events
        if not tokens_out or events < _LEAST or not measured.prepared.request.target.startswith(_APIS):
            return
        model = measured.prepared.model.id
        # The last two events are the usage, if it was sent, and the end mark.
        rate = tokens_out / max(1.0, events - 2)
        known = self._rates.get(model)
        self._rates[model] = rate if known is None else known + _WEIGHT * (rate - known)

    def forget_others(self, models: Container[str]) -> None:
        """Keep only what is known of these models."""
        self._rates = {model: rate for model, rate in self._rates.items() if model in models}
