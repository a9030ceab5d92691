"""How long a load takes, and how long one that is under way takes yet, from past loads. Pure functions; seconds, bytes.

A load is compared with loads of its own kind: an engine that is forked from a ready launcher has done its imports.
Newer loads count more than older ones: the first one also compiled what the later ones find in their caches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Final

from msgspec import Struct, field, structs

WEIGHTS_PHASE: Final = "loading weights"
"""The phase in which engines read the weights from the disk."""

RELIABLE_PROGRESS: Final = 0.5
"""Progress of a phase from which on only its own speed counts, and no longer what earlier loads took."""

OVERRUN: Final = 0.5
"""Share of the time by which something has taken longer than usual that it is assumed to take yet."""


class PastLoad(Struct, frozen=True):
    """A load that succeeded: its seconds in total and per phase in their order. `is_warm`: its engine was forked from a
    launcher that was ready when it began; None if that was not recorded. `size` is that of the model's files on disk,
    0 if unknown."""

    seconds: float
    phases: Mapping[str, float] = field(default_factory=dict)
    is_warm: bool | None = None
    size: int = 0


class LoadPosition(Struct, frozen=True):
    """Where a load is: the seconds since it began, its phase, and the seconds since that began. `progress` (0 to 1) of
    the phase was reported `progress_age` seconds ago."""

    elapsed: float
    phase: str | None = None
    in_phase: float = 0.0
    progress: float | None = None
    progress_age: float = 0.0


class LoadEstimate(Struct, frozen=True):
    """What a load usually takes: seconds in total, and per phase in their order."""

    seconds: float
    phases: tuple[tuple[str, float], ...] = ()

    def left(self, position: LoadPosition) -> float:
        """Return the seconds that a load takes from there on."""
        names = [name for name, _ in self.phases]
        if position.phase not in names:
            return _rest(self.seconds, position.elapsed)
        index = names.index(position.phase)
        later = sum(seconds for _, seconds in self.phases[index + 1 :])
        return _rest_of_phase(self.phases[index][1], position) + later


def estimate_load(
    loads: Sequence[PastLoad], *, is_warm: bool, others: Iterable[PastLoad] = ()
) -> LoadEstimate | None:
    """Return what a load of this kind usually takes. None without loads.

    `loads` are earlier ones of the same definition, oldest first. `others` are other models' loads that found their
    compile caches filled: after the very first load, which filled its own, they say how much faster the next one is.
    """
    if len(loads) == 1:
        loads = [_with_filled_caches(loads[0], list(others))]
    alike = [load for load in loads if load.is_warm is is_warm] or loads
    if not alike:
        return None
    names = dict.fromkeys(name for load in reversed(alike) for name in load.phases)
    in_order = sorted(names, key=lambda name: _place(name, alike))
    phases = tuple(
        (name, _usual([load.phases[name] for load in alike if name in load.phases])) for name in in_order
    )
    return LoadEstimate(_usual([load.seconds for load in alike]), phases)


def estimate_first_load(others: Iterable[PastLoad], size: int, *, is_warm: bool) -> LoadEstimate | None:
    """Return what the load of a model of that size takes that was never loaded, by other models' loads on this machine.

    Its weights are read at the speed of theirs, and the rest takes as long as theirs. None without either size.
    """
    known = [load for load in others if load.size > 0]
    known = [load for load in known if load.is_warm is is_warm] or known
    if size <= 0 or not known:
        return None
    reading = [load for load in known if load.phases.get(WEIGHTS_PHASE)]
    if not reading:
        return LoadEstimate(median(load.seconds * size / load.size for load in known))
    weights = size * median(load.phases[WEIGHTS_PHASE] / load.size for load in reading)
    rest = median(load.seconds - load.phases[WEIGHTS_PHASE] for load in reading)
    return LoadEstimate(max(rest, 0.0) + weights)


def _with_filled_caches(first: PastLoad, others: Sequence[PastLoad]) -> PastLoad:
    """What a first load would have taken with its compile caches filled: no phase takes longer than that of others.

    The weights are an exception, because they are not compiled.
    """
    phases = dict(first.phases)
    for name in phases.keys() - {WEIGHTS_PHASE}:
        if known := [load.phases[name] for load in others if name in load.phases]:
            phases[name] = min(phases[name], median(known))
    saved = sum(first.phases.values()) - sum(phases.values())
    return structs.replace(first, seconds=first.seconds - saved, phases=phases)


def _usual(values: Sequence[float]) -> float:
    """The median of values, oldest first, in which the second one counts twice, the third three times, and so on."""
    weighted = sorted((value, weight) for weight, value in enumerate(values, 1))
    half, below = sum(weight for _, weight in weighted) / 2, 0
    for value, weight in weighted:
        below += weight
        if below >= half:
            return value
    return 0.0


def _place(name: str, loads: Sequence[PastLoad]) -> int:
    """The place of a phase in the newest load that had it."""
    return next(list(load.phases).index(name) for load in reversed(loads) if name in load.phases)


def _rest_of_phase(usual: float, position: LoadPosition) -> float:
    progress, in_phase = position.progress, position.in_phase
    if not progress:
        return _rest(usual, in_phase)
    took = in_phase - position.progress_age
    by_speed = took * (1 - progress) / progress
    weight = min(1.0, progress / RELIABLE_PROGRESS)
    return _rest(weight * by_speed + (1 - weight) * usual * (1 - progress), position.progress_age)


def _rest(usual: float, elapsed: float) -> float:
    return usual - elapsed if elapsed <= usual else OVERRUN * (elapsed - usual)
