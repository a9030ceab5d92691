"""Forecasts for all waiting requests, from one simulation of the scheduler.

A simulation is made when a forecast is needed and the last one is older than a second, or a few if it was long. So a
thousand requests that ask for their forecasts again and again cost as much as one.
"""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import Struct, field

from sparkd.scheduling.actions import Action, Grant, Launch, Refuse, Terminate
from sparkd.scheduling.forecast import Forecast, Leaving, Stage
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.scheduler import Scheduler
from sparkd.scheduling.simulation import LoadTimes, Simulation
from sparkd.scheduling.status import LoadStep

MAX_AGE: Final = 1.0
"""Seconds for which a simulation is used, if it is short."""

EVENTS_PER_SECOND: Final = 400
"""Events of a simulation for each second that it is used. They take about 20 ms."""

MAX_EVENTS: Final = 2000
"""Events after which a simulation gives up: the requests whose outcome is not clear then have no estimate."""


class LoadWatch(LoadTimes, Protocol):
    """How long models take to load, and what those that load do now."""

    def step(self, entry: Entry) -> LoadStep | None:
        """The step of a load that is under way. None if unknown."""
        ...


class _Prediction(Struct):
    """What a simulation found: when tickets are granted and models launched, in order, and what leaves for each."""

    made_at: float
    events: int = 0
    granted: dict[int, float] = field(default_factory=dict)
    launched: dict[str, float] = field(default_factory=dict)
    leaving: dict[str, list[str]] = field(default_factory=dict)


class Forecaster:
    """Forecasts for the requests in one scheduler."""

    def __init__(self, scheduler: Scheduler, loads: LoadWatch) -> None:
        self._scheduler = scheduler
        self._loads = loads
        self._shared: _Prediction | None = None
        self._tickets: frozenset[int] = frozenset()
        self._asked: dict[str, tuple[_Prediction, int]] = {}

    def forecast(self, ticket_id: int, now: float) -> Forecast | None:
        """Return the forecast of a waiting ticket. None if it does not wait."""
        ticket = self._scheduler.tickets.get(ticket_id)
        if ticket is None:
            return None
        prediction = self._shared
        if prediction is None or ticket_id not in self._tickets or self._is_old(prediction, now):
            prediction = self._shared = self._predict(Simulation(self._scheduler, now, self._loads), now)
            self._tickets = frozenset(self._scheduler.tickets)
        return self._describe(ticket.model, prediction, prediction.granted.get(ticket_id), now)

    def forecast_request(self, model_id: str, now: float) -> Forecast:
        """Return the forecast of a request for the model that would arrive now."""
        prediction, ticket = self._predict_request(model_id, now)
        return self._describe(model_id, prediction, prediction.granted.get(ticket), now)

    def time_to_launch(self, model_id: str, now: float) -> float | None:
        """Return the seconds until the model would be launched for a request that arrives now. None if unknown."""
        at = self._predict_request(model_id, now)[0].launched.get(model_id)
        return None if at is None else max(0.0, at - now)

    def next_grant(self, now: float) -> float | None:
        """Return the seconds until the first of the waiting requests is granted. None if none waits, or unknown."""
        first = next(iter(self._scheduler.tickets), None)
        if first is None or self.forecast(first, now) is None or self._shared is None:
            return None
        return min((at - now for at in self._shared.granted.values()), default=None)

    def _predict_request(self, model_id: str, now: float) -> tuple[_Prediction, int]:
        """A simulation with an additional request for the model, and the ticket of that."""
        prediction, ticket = self._asked.get(model_id, (None, 0))
        if prediction is None or self._is_old(prediction, now):
            simulation = Simulation(self._scheduler, now, self._loads)
            simulation.scheduler.queue_everything()
            ticket, actions = simulation.request(model_id)
            prediction = self._predict(simulation, now, ticket, actions)
            recent = {name: each for name, each in self._asked.items() if not self._is_old(each[0], now)}
            self._asked = {**recent, model_id: (prediction, ticket)}
        return prediction, ticket

    def _is_old(self, prediction: _Prediction, now: float) -> bool:
        lifetime = max(MAX_AGE, prediction.events / EVENTS_PER_SECOND)
        return not 0 <= now - prediction.made_at < lifetime

    def _predict(
        self, simulation: Simulation, now: float, ticket: int | None = None, first: list[Action] | None = None
    ) -> _Prediction:
        """Simulate until the waiting tickets are granted, or only this one."""
        prediction = _Prediction(now)
        undecided = set(self._scheduler.tickets) if ticket is None else {ticket}
        actions: list[Action] | None = first or []
        for _ in range(MAX_EVENTS):
            for action in actions or ():
                match action:
                    case Grant(number) if number in undecided:
                        prediction.granted[number] = simulation.now
                        undecided.discard(number)
                    case Refuse(number):
                        undecided.discard(number)
                    case Launch(model_id):
                        prediction.launched.setdefault(model_id, simulation.now)
                    case Terminate(model_id) if entry := simulation.scheduler.entry(model_id):
                        if (
                            entry.evicted_for not in prediction.launched
                        ):  # only what makes room for its first load
                            prediction.leaving.setdefault(entry.evicted_for, []).append(model_id)
                    case _:
                        pass
            if actions is None or not undecided:
                break
            actions = simulation.advance()
            prediction.events += 1
        return prediction

    def _describe(
        self, model_id: str, prediction: _Prediction, granted: float | None, now: float
    ) -> Forecast:
        entry = self._scheduler.entry(model_id)
        state = entry.state if entry else State.STOPPED
        if entry and state is State.STARTING:
            return self._describe_load(model_id, "loading", entry, self._left(granted, entry, now))
        if state is State.READY:
            return Forecast(model=model_id, stage="ready", seconds=0.0)
        starting = next((each for each in self._scheduler.entries() if each.state is State.STARTING), None)
        before = self._launched_before(model_id, prediction)
        position = len(before) + 1
        ahead = [starting.model.id, *before] if starting else before
        is_evicting = not ahead and any(
            each.state in (State.DRAINING, State.STOPPING) for each in self._scheduler.entries()
        )
        stage: Stage = "evicting" if is_evicting else "queued"
        seconds = self._left(granted, entry, now) if self._is_known(entry) else None
        return self._describe_load(
            model_id,
            stage,
            starting,
            seconds,
            position=position,
            ahead=tuple(dict.fromkeys(ahead)),
            leaving=self._leaving(model_id, prediction),
        )

    def _describe_load(
        self,
        model_id: str,
        stage: Stage,
        loading: Entry | None,
        seconds: float | None,
        *,
        position: int | None = None,
        ahead: tuple[str, ...] = (),
        leaving: tuple[Leaving, ...] = (),
    ) -> Forecast:
        step = self._loads.step(loading) if loading else None
        return Forecast(
            model=model_id,
            stage=stage,
            position=position,
            ahead=ahead,
            leaving=leaving,
            loading=loading.model.id if loading else None,
            phase=step.phase if step else None,
            progress=step.progress if step else None,
            seconds=seconds,
        )

    def _left(self, granted: float | None, entry: Entry | None, now: float) -> float | None:
        if entry and entry.state is State.STARTING:
            return self._loads.left(entry, now)  # it is newer than the simulation
        return None if granted is None else max(0.0, granted - now)

    def _is_known(self, entry: Entry | None) -> bool:
        return entry is None or self._loads.expected(entry.model) is not None or entry.load_time > 0

    def _leaving(self, model_id: str, prediction: _Prediction) -> tuple[Leaving, ...]:
        """The models that are in memory now and leave it for this one, those that leave already first."""
        already = [entry.model.id for entry in self._scheduler.entries() if entry.evicted_for == model_id]
        names = dict.fromkeys([*already, *prediction.leaving.get(model_id, ())])
        found = [entry for name in names if (entry := self._scheduler.entry(name)) and entry.has_process]
        return tuple(Leaving(entry.model.id, len(entry.leases)) for entry in found)

    def _launched_before(self, model_id: str, prediction: _Prediction) -> list[str]:
        launched = list(prediction.launched)
        if model_id in launched:
            return launched[: launched.index(model_id)]
        others = [
            entry.model.id for entry in self._scheduler.entries() if entry.waiting and not entry.has_process
        ]
        return [other for other in others if other != model_id]
