"""What `sparkctl top` asks of sparkd, on threads, and the questions before it stops something in use."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from sparkd.cli.output.formatting import abbreviate_list, format_count, format_duration
from sparkd.cli.screen.view import RequestRow, View
from sparkd.control.client import ControlClient
from sparkd.errors import SparkdError
from sparkd.scheduling.plan import Plan
from sparkd.scheduling.status import ModelStatus


class Message(Struct, frozen=True):
    """A line for the owner."""

    text: str
    is_error: bool = False


class Question(Struct, frozen=True):
    """A question; `yes` is called if the answer is yes."""

    text: str
    yes: Callable[[], None]


class Actions:
    """Asks sparkd. Results arrive in `deliver`, on the thread of the screen, which `wake` wakes up."""

    def __init__(
        self,
        socket: Path,
        *,
        wake: Callable[[], None],
        report: Callable[[Message], None],
        ask: Callable[[Question], None],
    ) -> None:
        self._socket = socket
        self._wake = wake
        self._report = report
        self._ask = ask
        self._results: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._loading: set[str] = set()

    def deliver(self) -> None:
        """Report what has finished."""
        while True:
            try:
                self._results.get_nowait()()
            except queue.Empty:
                return

    def run(
        self,
        work: Callable[[ControlClient], Callable[[], None] | None],
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """Do `work` on a thread, then call what it returns and `on_end` on the screen's. Its errors are reported."""

        def run() -> None:
            result: Callable[[], None] | None
            try:
                with ControlClient(self._socket) as client:
                    result = work(client)
            except SparkdError as error:
                message = Message(_describe_error(error), is_error=True)
                result = lambda: self._report(message)  # noqa: E731

            def finish() -> None:
                on_end()
                if result is not None:
                    result()

            self._results.put(finish)
            self._wake()

        threading.Thread(target=run, daemon=True, name="action").start()

    def waiting_loads(self, view: View | None) -> list[str]:
        """The models whose load from here still waits in the queue: it ends with this program."""
        return [
            model.id
            for model in (view.models if view else ())
            if model.id in self._loading and model.state == "stopped"
        ]

    def load(self, model: ModelStatus, view: View) -> None:
        """Load a model. Asks first if other models in use would be stopped for it."""
        if model.state == "ready":
            self._report(Message(f"{model.id} is ready already."))
            return
        if model.id in self._loading:
            self._report(Message(f"{model.id} is being loaded already."))
            return

        def plan(client: ControlClient) -> Callable[[], None]:
            found = client.plan(model.id)
            return lambda: self._consider_load(found, view)

        self._report(Message(f"Asking sparkd what loading {model.id} would do …"))
        self.run(plan)

    def _consider_load(self, plan: Plan, view: View) -> None:
        if plan.missing:
            self._report(Message(" ".join(plan.missing), is_error=True))
        elif plan.verdict == "refused":
            self._report(Message(f"{plan.model} cannot be loaded now: {plan.reason}", is_error=True))
        elif in_use := [model for model in view.models if model.id in plan.evicts and _is_in_use(model)]:
            names = abbreviate_list([f"{model.id} ({_describe_use(model)})" for model in in_use])
            text = f"Loading {plan.model} stops {names}. Load it?"
            self._ask(Question(text, lambda: self._begin_load(plan.model)))
        else:
            self._begin_load(plan.model)

    def _begin_load(self, model_id: str) -> None:
        def load(client: ControlClient) -> Callable[[], None]:
            loaded = client.load(model_id)
            took = "" if loaded.load_time is None else f" (started in {format_duration(loaded.load_time)})"
            return lambda: self._report(Message(f"{model_id} is ready{took}."))

        self._loading.add(model_id)
        self._report(Message(f"{model_id} is being loaded."))
        self.run(load, on_end=lambda: self._loading.discard(model_id))

    def stop(self, model: ModelStatus) -> None:
        """Stop a model. Asks first if it is in use."""
        if model.state == "stopped" and not model.waiting:
            self._report(Message(f"{model.id} is stopped already."))
        elif _is_in_use(model):
            end = "The responses in progress are finished first. " if model.in_flight else ""
            text = f"{model.id} is in use ({_describe_use(model)}). {end}Stop it?"
            self._ask(Question(text, lambda: self._begin_stop(model.id)))
        else:
            self._begin_stop(model.id)

    def _begin_stop(self, model_id: str) -> None:
        def stop(client: ControlClient) -> Callable[[], None]:
            client.stop(model_id)
            return lambda: self._report(Message(f"{model_id} is stopped."))

        self._report(Message(f"{model_id} is being stopped."))
        self.run(stop)

    def retry(self, model: ModelStatus) -> None:
        """End a model's backoff or quarantine."""
        if model.state != "backoff" and not model.rejected_requests:
            self._report(Message(f"{model.id} has not failed: there is nothing to retry."))
            return

        def retry(client: ControlClient) -> Callable[[], None]:
            client.retry(model.id)
            return lambda: self._report(Message(f"{model.id} may start again; the next request starts it."))

        self.run(retry)

    def cancel(self, row: RequestRow) -> None:
        """Cancel a request, after a question."""
        tokens = "" if row.tokens_out is None else f", {format_count(row.tokens_out, 'token')} so far"
        text = f"Cancel request {row.id} of {row.client or 'a client'} ({row.model}, {row.phase}{tokens})?"

        def cancel(client: ControlClient) -> Callable[[], None]:
            client.cancel_request(row.id)
            return lambda: self._report(Message(f"Request {row.id} is cancelled."))

        self._ask(Question(text, lambda: self.run(cancel)))


def _is_in_use(model: ModelStatus) -> bool:
    return bool(model.in_flight or model.waiting or model.holds)


def _describe_use(model: ModelStatus) -> str:
    parts = []
    if model.in_flight:
        parts.append(f"{format_count(model.in_flight, 'request')} in flight")
    if model.waiting:
        parts.append(f"{format_count(model.waiting, 'request')} waiting")
    if model.holds:
        parts.append(f"held by {model.holds[0].owner or 'somebody'}")
    return ", ".join(parts)


def _describe_error(error: SparkdError) -> str:
    if error.retry_after is None:
        return error.message
    return f"{error.message} Try again in {format_duration(error.retry_after)}."
