"""Learned figures and quarantine of each model, as it is defined now.

Reads are from memory. Writes run in order on a separate thread, so that a slow disk never blocks the event loop. Only
`record_start` waits for the disk: a start must be recorded before it can freeze the machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.engines import ENGINES
from sparkd.engines.engine import LaunchContext, TcpAddress, UnixAddress
from sparkd.errors import LaunchError
from sparkd.learning.history import History
from sparkd.learning.load_estimates import LoadEstimate, PastLoad, estimate_first_load, estimate_load
from sparkd.learning.past_runs import ModelProfile, PastRun, run_key
from sparkd.runtimes import environment_of, find_installed
from sparkd.scheduling.memory import Budget
from sparkd.scheduling.status import GuardAction
from sparkd.service.signals import block_signals

ANY_PATH: Final = Path("/")
INTERRUPTED_CAUSES: Final = {
    True: "the machine restarted while this model was starting, so the model may have frozen it. Lower its memory.",
    False: "sparkd was killed while this model was starting, so memory may have run out. Lower its memory.",
}
"""The cause of a quarantine, by whether the machine itself went down."""


class Learning:
    """Connects a catalogue with its history. `total` is the machine's memory and `budget` the memory for models, in
    bytes. `resumed` are the models whose runs an earlier sparkd has handed over."""

    def __init__(
        self,
        catalogue: Catalogue,
        history: History,
        total: int,
        budget: Budget,
        *,
        resumed: Collection[str] = (),
    ) -> None:
        self.total = total
        self._catalogue = catalogue
        self._history = history
        self._budget = budget
        self._keys: dict[str, str] = {}
        self._thread = ThreadPoolExecutor(1, "history", initializer=block_signals)
        self._quarantine_interrupted(resumed)

    def use_catalogue(self, catalogue: Catalogue, budget: Budget) -> None:
        """Use another catalogue and its budget."""
        self._catalogue, self._budget = catalogue, budget
        self._keys.clear()

    def command_key(self, model: Model) -> str:
        """Return a key of how the model's engine is started. If it changes, the engine would be started differently."""
        return make_command_key(model, "", self._catalogue, self.allowance(model), self.total)

    def command_key_with(self, model: Model, catalogue: Catalogue, budget: Budget) -> str:
        """Return the same key as it would be with another catalogue and its budget."""
        return make_command_key(model, "", catalogue, _allowance(model, budget), self.total)

    def allowance(self, model: Model) -> int:
        """Return the bytes that the model's engine may use: what is declared, otherwise the model's share.

        Never the learned footprint: an engine that may use less each time uses less each time.
        """
        return _allowance(model, self._budget)

    def profile(self, model: Model) -> ModelProfile | None:
        """Return what was learned from past runs of this definition. None if there are none."""
        if not self._history.has_runs(model.id):
            return None  # without computing the key, for each of thousands of models
        return self._history.profile(model.id, self._key(model))

    @property
    def models_with_runs(self) -> Collection[str]:
        """The ids of the models of which runs are known."""
        return self._history.models_with_runs

    def learned_footprint(self, model: Model) -> int | None:
        """Return the learned footprint. None if there is none, or if `memory.learn` is off."""
        profile = self.profile(model) if self._catalogue.settings.memory.learn else None
        return profile.footprint if profile else None

    def load_time(self, model: Model) -> float | None:
        """Return the seconds that its last start took. None if unknown."""
        loads = self._history.loads(model.id, self._key(model))
        return loads[-1].seconds if loads else None

    def loads(self, model: Model) -> list[PastLoad]:
        """Return the recorded loads of this definition, oldest first."""
        return list(self._history.loads(model.id, self._key(model)))

    def all_loads(self) -> Mapping[tuple[str, str], list[PastLoad]]:
        """Return the recorded loads of all models, by id and key. Do not change them."""
        return self._history.all_loads()

    def estimate_load(self, model: Model, *, is_warm: bool, size: int) -> LoadEstimate | None:
        """Return what a load of the model takes. `size` is that of its files on disk in bytes, 0 if unknown.

        If this definition was never loaded on this build: by loads of the same files with other definitions, otherwise
        by other models' loads. None if there are none.
        """
        every = self._history.all_loads()
        if loads := self._history.loads(model.id, self._key(model)):
            others = (each[-1] for (name, _), each in every.items() if len(each) > 1 and name != model.id)
            return estimate_load(loads, is_warm=is_warm, others=others)
        same_files = [
            load
            for (name, _), loads in every.items()
            if name == model.id
            for load in loads
            if load.size == size
        ]
        if size and same_files:
            return estimate_load(same_files, is_warm=is_warm)
        newest = (load for loads in every.values() for load in loads[-2:])
        return estimate_first_load(newest, size, is_warm=is_warm)

    def quarantine_cause(self, model: Model) -> str | None:
        """Return why the model is in quarantine. None if it is not."""
        return self._history.quarantine_cause(model.id, self._key(model))

    def guard_kills(self, model: Model) -> int:
        """Return how often the memory guard has killed it."""
        return self._history.guard_kills(model.id, self._key(model))

    def models_with_records(self) -> list[Model]:
        """Return the few models with a quarantine or guard kills. Nothing is computed for the others at a start."""
        return [
            self._catalogue.models[name]
            for name in self._history.models_with_records() & self._catalogue.models.keys()
        ]

    @property
    def leaked(self) -> int:
        """Bytes that were not released since this boot of the machine."""
        return self._history.leaked

    def key(self, model: Model) -> str:
        """Return the key of the model's definition and of the build that it would start with now."""
        self._keys.pop(model.id, None)  # its runtime may have been rebuilt
        return self._key(model)

    async def record_start(self, model: Model) -> str:
        """Record on disk that the model is starting now; return the run's key."""
        key = self.key(model)
        await asyncio.get_running_loop().run_in_executor(
            self._thread, self._history.record_start, model.id, key
        )
        return key

    def clear_start(self, model: Model) -> None:
        """Record that it is no longer starting."""
        self._submit(self._history.clear_start, model.id)

    def add_run(self, model: Model, key: str, run: PastRun) -> None:
        """Record the figures of a run that became ready."""
        self._submit(self._history.add_run, model.id, key, run)

    def add_load(self, model: Model, key: str, load: PastLoad) -> None:
        """Record a load that has just succeeded."""
        self._submit(self._history.add_load, model.id, key, load)

    def record_guard_kill(self, model: Model, key: str, quarantine_cause: str | None) -> None:
        """Record that the memory guard has killed it, and the cause of a quarantine, if any."""
        self._submit(self._history.count_guard_kill, model.id, key)
        if quarantine_cause:
            self._submit(self._history.quarantine, model.id, key, quarantine_cause)

    def record_guard_action(self, model_id: str) -> None:
        """Record that the memory guard has just stopped a model."""
        self._submit(self._history.record_guard_action, model_id)

    def last_guard_action(self) -> GuardAction | None:
        """Return the model that the memory guard stopped last, and how long ago. None if it never has."""
        if (last := self._history.last_guard_action) is None:
            return None
        model, time_of_action = last
        return GuardAction(model=model, seconds_ago=max(0.0, time.time() - time_of_action))

    def clear_quarantine(self, model: Model) -> None:
        """Record that it may start again."""
        self._submit(self._history.clear_quarantine, model.id)

    def warm_failures(self) -> list[tuple[str, str, str, int]]:
        """Return the failures of warm starts, as History does."""
        return self._history.warm_failures()

    def record_warm_failure(self, build: str, model: str, cause: str, recent: int) -> None:
        """Record a failure of a warm start, or that its number has changed."""
        self._submit(self._history.record_warm_failure, build, model, cause, recent)

    def clear_warm_failures(self, build: str) -> None:
        """Record that a build may be used warm again."""
        self._submit(self._history.clear_warm_failures, build)

    def record_leak(self, size: int) -> None:
        """Record how many bytes are missing now."""
        self._submit(self._history.record_leak, size)

    def close(self) -> None:
        """Finish the pending writes, and close the file."""
        self._thread.shutdown()
        self._history.close()

    def _submit(self, write: Callable[..., object], *values: object) -> None:
        """Queue a write. After `close` it is dropped: such late figures can be learned again."""
        with suppress(RuntimeError):
            self._thread.submit(write, *values)

    def _quarantine_interrupted(self, resumed: Collection[str]) -> None:
        for model_id, (key, machine_died) in self._history.find_interrupted_starts().items():
            if model_id in resumed:
                continue  # it is still starting
            self._history.quarantine(model_id, key, INTERRUPTED_CAUSES[machine_died])
            self._history.clear_start(model_id)

    def _key(self, model: Model) -> str:
        if model.id not in self._keys:
            build = self._find_build(model)
            name = build.name if build else ""
            allowance = self.allowance(model)
            self._keys[model.id] = make_command_key(model, name, self._catalogue, allowance, self.total)
        return self._keys[model.id]

    def _find_build(self, model: Model) -> Path | None:
        runtime = self._catalogue.runtimes.get(model.runtime or "")
        return find_installed(runtime, self._catalogue.folder("runtimes")) if runtime else None


def make_command_key(model: Model, build: str, catalogue: Catalogue, allowance: int, total: int) -> str:
    """Return the key of the command that would start the engine, with paths that are the same for every run.

    `build` names the build of its runtime. `allowance` is what the engine may use, and `total` the machine's memory.
    """
    runtime = catalogue.runtimes.get(model.runtime or "")
    environment = environment_of(runtime) if runtime else {}
    engine = ENGINES[model.engine]
    address = UnixAddress("/socket") if engine.listens_on_socket(model) else TcpAddress("", 0)
    context = LaunchContext(
        program=ANY_PATH,
        environment={},
        directory=ANY_PATH,
        models=ANY_PATH,
        cache=ANY_PATH,
        address=address,
        inherited={},
        memory=allowance,
        total=total,
    )
    try:
        argv = engine.build_command(model, context).argv
    except LaunchError:  # a disabled model may have an incomplete definition
        argv = ()
    return run_key(argv, {**environment, **model.environment}, build)


def _allowance(model: Model, budget: Budget) -> int:
    return budget.limit_for(model) if model.memory is None else model.memory
