"""Guesses a model's entry in the catalogue from the model's own files. No input, no output."""

from __future__ import annotations

from sparkd.guessing.facts import Facts, Machine, Weights
from sparkd.guessing.files import WANTED, facts_of
from sparkd.guessing.guess import Guess, Guessed, Wishes
from sparkd.guessing.model import guess_model

__all__ = ["WANTED", "Facts", "Guess", "Guessed", "Machine", "Weights", "Wishes", "facts_of", "guess_model"]
