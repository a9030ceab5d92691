"""Engine kinds, one file each, and what they share: flags, environments, causes of failure.

The programs in parsers/ run in the runtimes' virtualenvs, not in sparkd.
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
"""Engine kinds, by the value of a model's `engine`."""


def engine_problems(catalogue: Catalogue) -> list[str]:
    """Problems that the engines find in the definitions of enabled models, one line each."""
    return [
        problem(*catalogue.place(model), told)
        for model in catalogue.models.values()
        if model.enabled
        for told in ENGINES[model.engine].problems(model)
    ]
