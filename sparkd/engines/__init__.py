"""Engine kinds, one file each, and what they share: flags, environments, causes of failure.

The programs in parsers/ run in the runtimes' virtualenvs, not in sparkd.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sparkd.catalog import Catalogue
from sparkd.catalog.messages import format_problem
from sparkd.engines.command import CommandEngine
from sparkd.engines.engine import Engine
from sparkd.engines.sglang import SglangEngine
from sparkd.engines.vllm import VllmEngine

ENGINES: Mapping[str, Engine] = MappingProxyType(
    {engine.name: engine for engine in (VllmEngine(), SglangEngine(), CommandEngine())}
)
"""Engine kinds, by the value of a model's `engine`."""


def find_engine_problems(catalogue: Catalogue) -> list[str]:
    """Problems that the engines find in the definitions of enabled models, one line each."""
    return [
        format_problem(*catalogue.locate_key(model), text)
        for model in catalogue.models.values()
        if model.enabled
        for text in ENGINES[model.engine].find_problems(model)
    ]
