"""A sparkd whose models load until the test opens their gate, and the rounds of requests for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.clients.waiting.clock import AFTER, LOAD
from tests.clients.waiting.programs import Outcomes, Program, Timeouts
from tests.clients.waiting.raw import RawStream
from tests.clients.waiting.record import FOLDER as RECORDED
from tests.e2e.sparkd_process import SparkdProcess
from tests.e2e.warm_runtime import WarmRuntime

MAIN: Final = Path(__file__).with_name("standin.py")
CONTEXT: Final = 2000
"""Tokens of the context of the models."""


class World:
    """One sparkd, its runtime, and the gates of its models."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runtime = WarmRuntime(folder)
        (main,) = self.runtime.folder.glob("lib/python*/site-packages/vllm/entrypoints/cli/main.py")
        main.write_text(MAIN.read_text())
        self.sparkd: SparkdProcess

    def gate(self, model: str) -> Path:
        """Return the file that ends the model's load."""
        return self.folder / f"gate-{model}"

    def model(self, name: str, *, at_gate: str = "ready", **fields: Any) -> dict[str, Any]:
        """Return a model that loads until its gate is open. `at_gate` says what happens then."""
        return self.runtime.model(
            options={"start-gate": str(self.gate(name)), "at-gate": at_gate},
            warm=False,
            context_length=CONTEXT,
            rewriting={"tools": "pass"},
            environment={"RECORDED": str(RECORDED)},
            **{"memory": "64 MiB", **fields},
        )

    @contextmanager
    def running(self, models: dict[str, Any], **settings: Any) -> Iterator[SparkdProcess]:
        """Run a sparkd with these models. At the end, check that it leaves nothing."""
        shared = {"paths": self.runtime.paths, "heartbeat": {"after": AFTER, "interval": AFTER}}
        self.sparkd = SparkdProcess(self.folder, {"models": models, **shared, **settings})
        self.sparkd.start()
        try:
            yield self.sparkd
        finally:
            stopped = self.sparkd.stop()
        assert stopped == 0, self.sparkd.log()
        self.sparkd.assert_nothing_left()

    def run_round(
        self,
        programs: list[Program],
        model: str,
        prompts: list[str],
        *,
        load: float = LOAD,
        timeouts: Timeouts = Timeouts(),  # noqa: B008  # it is a constant
        raw: tuple[RawStream, ...] = (),
    ) -> dict[str, Outcomes]:
        """Have all programs ask for the model, and open its gate `load` seconds later; return what each got."""
        for stream in raw:
            stream.start(self.sparkd.port, model)
        for program in programs:
            program.ask(self.sparkd.url, model, prompts, timeouts)
        time.sleep(load)
        self.gate(model).touch()
        for stream in raw:
            stream.join()
        return {program.library.title: program.read("outcomes") for program in programs}
