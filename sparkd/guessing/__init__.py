"""Guesses a model's entry in the catalogue from the model's own files. No input, no output."""

from __future__ import annotations

from sparkd.guessing.facts import Facts, Machine, Weights
from sparkd.guessing.files import FILE_LIMITS, parse_facts
from sparkd.guessing.guess import AddOptions, Guess, GuessedEntry
from sparkd.guessing.model import guess_model

__all__ = [
    "FILE_LIMITS",
    "AddOptions",
    "Facts",
    "Guess",
    "GuessedEntry",
    "Machine",
    "Weights",
    "guess_model",
    "parse_facts",
]
