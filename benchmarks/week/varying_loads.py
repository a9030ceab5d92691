"""Loads that differ each time: noise, warm and cold starts, compile caches, and the page cache. Seconds and GiB.

A load has the steps of a real one, and reports its progress in shards. The page cache keeps the models that were read
last, as far as the memory beside the largest model allows.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from benchmarks.week.households import SimulatedModel

STARTING, WEIGHTS, COMPILING, GRAPHS = "starting", "loading weights", "compiling", "capturing CUDA graphs"

COLD_IMPORTS, WARM_IMPORTS = 25.0, 4.0
LAUNCHER_SHARE = 0.85
"""How many of the starts find a launcher."""

FIRST_COMPILE = 90.0
"""What the first load of a model takes in addition."""

PAGE_CACHE = 40.0
CACHED_SPEED = 4.0
"""How much faster the page cache is than the disk."""

SHARDS = 8
NOISE = 0.12
"""Standard deviation of the logarithm of each step's duration."""


@dataclass(frozen=True)
class Step:
    """A step of a load that is under way: since when, and its progress, with the time when that was reported."""

    phase: str
    began: float
    progress: float | None
    progress_at: float


@dataclass(frozen=True)
class Load:
    """One load, as it will go. `phases` are its steps with their durations."""

    began: float
    is_warm: bool
    phases: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """Its whole duration."""
        return sum(self.phases.values())

    def step(self, now: float) -> Step:
        """What the log says at that time."""
        began, phase, seconds = self.began, STARTING, self.phases[STARTING]
        for phase, seconds in self.phases.items():  # noqa: B007 - the last one that has begun
            if now < began + seconds:
                break
            began += seconds
        shard = seconds / SHARDS
        done = min(int((now - began) / shard), SHARDS - 1) if phase == WEIGHTS else 0
        return Step(phase, began, done / SHARDS if phase == WEIGHTS else None, began + done * shard)


@dataclass
class VaryingLoads:
    """Decides how each load goes."""

    models: Mapping[str, SimulatedModel]
    random: Random
    _compiled: set[str] = field(default_factory=set)
    _cache: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def begin(self, name: str, now: float) -> Load:
        """A load of the model begins."""
        model = self.models[name]
        is_warm = self.random.random() < LAUNCHER_SHARE
        cached = self._read(name, model.memory)
        reading = 0.75 * model.load
        phases = {
            STARTING: WARM_IMPORTS if is_warm else COLD_IMPORTS,
            WEIGHTS: reading * (1 - cached) + reading * cached / CACHED_SPEED,
            COMPILING: 0.1 * model.load + (0.0 if name in self._compiled else FIRST_COMPILE),
            GRAPHS: 0.15 * model.load,
        }
        self._compiled.add(name)
        noise = self.random.lognormvariate
        return Load(now, is_warm, {phase: usual * noise(0.0, NOISE) for phase, usual in phases.items()})

    def _read(self, name: str, size: float) -> float:
        """Read a model's files; return the share of them that was in the page cache."""
        share = self._cache.pop(name, 0.0) / size
        self._cache[name] = min(size, PAGE_CACHE)
        while sum(self._cache.values()) > PAGE_CACHE:
            oldest = next(iter(self._cache))
            excess = sum(self._cache.values()) - PAGE_CACHE
            kept = self._cache[oldest] - excess
            if kept > 0:
                self._cache[oldest] = kept
            else:
                del self._cache[oldest]
        return share
