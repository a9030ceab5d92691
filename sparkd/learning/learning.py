"""What past runs teach about a model as it is defined now, and what of it must not start by itself.

Reading is from memory and at once; writing goes to a thread of its own, in order, so that no disk ever holds up the
event loop. Only the note that something starts is waited for: it must be on the disk before the machine can freeze.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.engines import ENGINES
from sparkd.engines.engine import LaunchContext, TcpAddress, UnixAddress
from sparkd.errors import LaunchError
from sparkd.learning.history import History, ModelProfile, PastRun, run_key
from sparkd.runtimes import environment_of, find_installed
from sparkd.scheduling.memory import Budget
from sparkd.scheduling.status import GuardAction
from sparkd.service.signals import block_signals

ANY_PATH: Final = Path("/")
INTERRUPTED_CAUSES: Final = {
    True: "The machine was restarted while this model was starting, so it may be what froze it.",
    False: "sparkd was killed while this model was starting, maybe for want of memory.",
}
"""By whether the machine itself went down."""


class Learning:
    """Joins a catalogue to its history. `total` is the machine's memory, `budget` what models may have, in bytes.
    `resumed`: the models whose runs an earlier sparkd has handed on."""

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
        """Go by another catalogue, and by the budget that follows from it."""
        self._catalogue, self._budget = catalogue, budget
        self._keys.clear()

    def command_key(self, model: Model) -> str:
        """Names how the model's engine is started: another one means that it would be started differently now."""
        return self._make_key(model, "")

    def allowance(self, model: Model) -> int:
        """Bytes that the model's engine is told it may take: what is declared, else the model's share.

        Never what was learned: an engine that is allowed less each time takes less each time.
        """
        return self._budget.limit_for(model) if model.memory is None else model.memory

    def profile(self, model: Model) -> ModelProfile | None:
        """What past runs of exactly this definition teach."""
        return self._history.profile(model.id, self._key(model))

    def learned_footprint(self, model: Model) -> int | None:
        """The learned footprint, None where there is none, or the owner wants what is declared."""
        found = self.profile(model) if self._catalogue.settings.memory.learn else None
        return found.footprint if found else None

    def load_time(self, model: Model) -> float | None:
        """Seconds that its last start took, None where none is known."""
        found = self.profile(model)
        return found.last.load_time if found else None

    def quarantine_cause(self, model: Model) -> str | None:
        """Why the model must not start without an operator's word, if so."""
        return self._history.quarantine_cause(model.id, self._key(model))

    def guard_kills(self, model: Model) -> int:
        """How often the memory guard has ended it."""
        return self._history.guard_kills(model.id, self._key(model))

    def models_with_records(self) -> list[Model]:
        """The few models of which there is anything to remember at a start; nothing is worked out for the others."""
        return [
            self._catalogue.models[name]
            for name in self._history.models_with_records() & self._catalogue.models.keys()
        ]

    @property
    def leaked(self) -> int:
        """Bytes that are missing since this boot of the machine."""
        return self._history.leaked

    async def record_start(self, model: Model) -> str:
        """Note on the disk that the model starts now; return what this run is known under."""
        self._keys.pop(model.id, None)  # its runtime may have been built anew
        key = self._key(model)
        await asyncio.get_running_loop().run_in_executor(
            self._thread, self._history.record_start, model.id, key
        )
        return key

    def clear_start(self, model: Model) -> None:
        """Note that it starts no longer."""
        self._submit(self._history.clear_start, model.id)

    def add_run(self, model: Model, key: str, run: PastRun) -> None:
        """Note what a run that was ready has shown."""
        self._submit(self._history.add_run, model.id, key, run)

    def record_guard_kill(self, model: Model, key: str, quarantine_cause: str | None) -> None:
        """Note that the memory guard has ended it, and why it is not to start again, if so."""
        self._submit(self._history.count_guard_kill, model.id, key)
        if quarantine_cause:
            self._submit(self._history.quarantine, model.id, key, quarantine_cause)

    def record_guard_action(self, model_id: str) -> None:
        """Note that the memory guard has just ended somebody."""
        self._submit(self._history.record_guard_action, model_id)

    def last_guard_action(self) -> GuardAction | None:
        """Whom the memory guard ended last, and how long ago; None if it never has."""
        if (found := self._history.last_guard_action) is None:
            return None
        model, moment = found
        return GuardAction(model=model, seconds_ago=max(0.0, time.time() - moment))

    def clear_quarantine(self, model: Model) -> None:
        """Note the operator's word that it may start."""
        self._submit(self._history.clear_quarantine, model.id)

    def record_leak(self, size: int) -> None:
        """Note how much is missing now."""
        self._submit(self._history.record_leak, size)

    def close(self) -> None:
        """Write what is still to be written, and close the file."""
        self._thread.shutdown()
        self._history.close()

    def _submit(self, write: Callable[..., object], *values: object) -> None:
        """In its turn. Nothing is written once the file is closed: what is told so late can be learned again."""
        with suppress(RuntimeError):
            self._thread.submit(write, *values)

    def _quarantine_interrupted(self, resumed: Collection[str]) -> None:
        for model_id, (key, machine_died) in self._history.find_interrupted_starts().items():
            if model_id in resumed:
                continue  # it is starting still
            self._history.quarantine(model_id, key, INTERRUPTED_CAUSES[machine_died])
            self._history.clear_start(model_id)

    def _key(self, model: Model) -> str:
        if model.id not in self._keys:
            build = self._find_build(model)
            self._keys[model.id] = self._make_key(model, build.name if build else "")
        return self._keys[model.id]

    def _find_build(self, model: Model) -> Path | None:
        runtime = self._catalogue.runtimes.get(model.runtime or "")
        return find_installed(runtime, self._catalogue.folder("runtimes")) if runtime else None

    def _make_key(self, model: Model, build: str) -> str:
        """What the engine would be started with, in a place that is the same for every run."""
        runtime = self._catalogue.runtimes.get(model.runtime or "")
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
            memory=self.allowance(model),
            total=self.total,
        )
        try:
            argv = engine.build_command(model, context).argv
        except LaunchError:  # a disabled model may be defined by half
            argv = ()
        return run_key(argv, {**environment, **model.environment}, build)
