"""Kinds of engines, one file each, and what they share: flags, environments, causes.

What is in parsers/ runs in runtimes, not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sparkd.catalog import Catalogue
from sparkd.catalog.wording import problem
from sparkd.engines.command import CommandEngine
from sparkd.engines.engine import Engine
from sparkd.engines.sglang import SglangEngine
from sparkd.engines.vllm import VllmEngine

ENGINES: Mapping[str, Engine] = MappingProxyType(
    {engine.name: engine for engine in (VllmEngine(), SglangEngine(), CommandEngine())}
)
"""The kinds by the name that a model's `engine` gives."""


def engine_problems(catalogue: Catalogue) -> list[str]:
    """What engines make of the enabled models' definitions, a line each: better now than at a first request."""
    return [
        problem(*catalogue.place(model), told)
        for model in catalogue.models.values()
        if model.enabled
        for told in ENGINES[model.engine].problems(model)
    ]
