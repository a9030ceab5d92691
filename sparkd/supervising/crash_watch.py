"""Connects what is known about failed engines (sparkd.scheduling.suspects) with requests, runs and the journal.

As long as no ready engine of a model has failed within the last hour, a request costs one look-up. Digests are computed
only after a failure, and then only of requests that may be concerned.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Container, Mapping
from hashlib import blake2b
from typing import Final, NamedTuple

from sparkd.catalog.definitions import Model
from sparkd.catalog.settings import Settings
from sparkd.errors import RequestCrashesEngine, WaitTimeout
from sparkd.journal.handler import event
from sparkd.rewriting.shape import DIGEST_SIZE, Shape, find_shape, may_have_shape
from sparkd.scheduling.status import RejectedRequest
from sparkd.scheduling.suspects import MAX_SUSPECTS, Conviction, CrashRecord, Suspect
from sparkd.supervising.turns import FAILURE_PAUSE, STALL_CHECKS, Turn, Turns
from sparkd.upstream.client import EngineRequest

logger = logging.getLogger(__name__)

LATE: Final = 15.0
"""Seconds. When vLLM's engine core fails, its API server answers all requests with an error, and exits seconds later.
So a request that failed this long before its engine ended was in flight when the engine failed."""

NAMED: Final = 10
"""Requests that a line of the log names."""


class _Failed(NamedTuple):
    at: float
    request: EngineRequest


class CrashWatch:
    """Rejects requests that make engines fail. `settings` returns those of the present catalogue."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._records: dict[str, CrashRecord] = {}
        self._keys: dict[str, str] = {}
        self._turns: dict[str, Turns] = {}
        self._failed: dict[int, deque[_Failed]] = {}

    # Requests

    def may_pass(self, model_id: str, request: EngineRequest | None) -> bool:
        """Whether the request is neither rejected nor has to wait for its turn."""
        if model_id not in self._records or request is None:
            return True
        conviction, is_suspect = self._look_up(model_id, request)
        return conviction is None and not is_suspect

    async def admit(self, model_id: str, request: EngineRequest | None) -> Turn | None:
        """Wait for the request's turn, if it was in flight when an engine failed; return the turn.

        Raises RequestCrashesEngine and WaitTimeout.
        """
        if not self._must_wait(model_id, request):
            return None
        turns = self._turns[model_id]
        longest = self._settings().queue.max_wait
        try:
            turn = await turns.take(longest)
        except TimeoutError:
            raise WaitTimeout(
                f'An engine of model "{model_id}" failed while it answered this request. sparkd repeats such requests '
                f"one after the other, and this one's turn did not come within {longest:.0f} seconds."
            ) from None
        try:
            if self._must_wait(model_id, request):
                return turn
        except RequestCrashesEngine:
            turn.end()
            raise
        turn.end()
        return None

    def record_end(self, model_id: str, run: int, request: EngineRequest, status: int) -> None:
        """Record the end of a request that was sent to a run: with this status, 500 or more if the engine failed."""
        if status >= 500:
            failed = self._failed.setdefault(run, deque(maxlen=MAX_SUSPECTS))
            failed.append(_Failed(time.monotonic(), request))
            return
        record = self._find_record(model_id)
        if record is None:
            return
        if status < 400:
            record.record_answer()
        record.acquit(*_digest_if_known(record, request))

    def _must_wait(self, model_id: str, request: EngineRequest | None) -> bool:
        """Whether the request was in flight when an engine failed. Raises RequestCrashesEngine."""
        if request is None:
            return False
        conviction, is_suspect = self._look_up(model_id, request)
        if conviction is not None:
            conviction.rejected += 1
            raise RequestCrashesEngine(
                _explain(model_id, conviction), param=conviction.fields[0] if conviction.fields else None
            )
        return is_suspect

    def _look_up(self, model_id: str, request: EngineRequest) -> tuple[Conviction | None, bool]:
        record = self._find_record(model_id)
        if record is None:
            return None, False
        exact, shape = _digest_if_known(record, request)
        return record.find_conviction(exact, shape), exact is not None and record.is_suspect(exact)

    def _find_record(self, model_id: str) -> CrashRecord | None:
        record = self._records.get(model_id)
        if record is not None and record.expire(time.monotonic()):
            self.clear(model_id)
            return None
        return record

    # Runs

    def on_launch(self, model_id: str, key: str) -> None:
        """A run with this key starts. If the model's definition or runtime has changed, what is known is forgotten."""
        if model_id in self._records and self._keys.get(model_id) != key:
            self.clear(model_id)

    def on_failure(
        self,
        model_id: str,
        run: int,
        key: str,
        held: Collection[EngineRequest],
        cause: str,
        *,
        stalled: bool = False,
    ) -> bool:
        """A ready engine has failed by itself. `held` are the requests that it was answering. `stalled`: it had to be
        ended.

        Return whether a request is to blame, so that the failure does not count against the model.
        """
        settings, now = self._settings().failures, time.monotonic()
        late = [each.request for each in self._failed.get(run, ()) if now - each.at <= LATE]
        requests = [*late, *held]
        if not requests or not settings.reject_for:
            return False
        record = self._records.get(model_id)
        if record is None:
            record = CrashRecord(settings.suspect_after, settings.reject_for)
            self._records[model_id], self._keys[model_id] = record, key
            self._turns[model_id] = Turns()
        if stalled:
            self._turns[model_id].longest = STALL_CHECKS * settings.liveness
        record.suspect_after, record.reject_for = settings.suspect_after, settings.reject_for
        suspects = [suspect for each in requests if (suspect := _make_suspect(each)) is not None]
        _log_suspects(model_id, suspects, len(requests))
        is_complete = len(suspects) == len(requests) and len(late) < MAX_SUSPECTS
        convictions = record.record_crash(suspects, now, is_complete=is_complete)
        for conviction in convictions:
            _log_conviction(model_id, conviction, cause)
        return bool(convictions) and record.forgive()

    def end_run(self, model_id: str, run: int) -> None:
        """The run has ended: the next suspect may have its turn."""
        self._failed.pop(run, None)
        if turns := self._turns.get(model_id):
            turns.end_current()

    # The owner

    def clear(self, model_id: str) -> None:
        """Forget everything about the model."""
        self._records.pop(model_id, None)
        self._turns.pop(model_id, None)

    def use_models(self, old: Mapping[str, Model], new: Mapping[str, Model], restart: Container[str]) -> None:
        """Forget models whose start a reload has changed."""
        for model_id in list(self._records):
            before, after = old.get(model_id), new.get(model_id)
            unchanged = before and after and after.launches_same_as(before) and model_id not in restart
            if not unchanged:
                self.clear(model_id)

    @property
    def models(self) -> Collection[str]:
        """The ids of the models whose engines have failed."""
        return self._records.keys()

    def list_rejected(self, model_id: str) -> tuple[RejectedRequest, ...]:
        """What is rejected for the model."""
        record, now = self._find_record(model_id), time.monotonic()
        return tuple(
            RejectedRequest(
                fingerprint=each.digest.hex(),
                level=each.level,
                fields=each.fields,
                request_id=each.request_id,
                crashes=each.crashes,
                rejected=each.rejected,
                seconds_left=each.until - now,
            )
            for each in (record.convictions if record else ())
        )


def end_turn(turn: Turn | None, status: int) -> None:
    """End a request's turn, at once if its engine still works."""
    if turn is not None and status >= 500:
        turn.limit(FAILURE_PAUSE)
    elif turn is not None:
        turn.end()


def _make_suspect(request: EngineRequest) -> Suspect | None:
    """The digests of a request. None for a stream of unknown content."""
    exact = _digest(request)
    if exact is None:
        return None
    shape = _find_shape(request)
    return Suspect(
        exact=exact,
        size=_size(request) or 0,
        shape=shape.digest if shape else None,
        fields=shape.fields if shape else (),
        request_id=dict(request.headers).get(b"x-request-id", b"").decode("latin-1"),
    )


def _digest_if_known(record: CrashRecord, request: EngineRequest) -> tuple[bytes | None, bytes | None]:
    """The digests of a request, if the record may have the same ones."""
    size, body = _size(request), request.body
    exact = _digest(request) if size is not None and record.may_know_exact(size) else None
    shape = None
    if isinstance(body, (bytes, bytearray)) and any(may_have_shape(names, body) for names in record.shapes()):
        shape = _find_shape(request)
    return exact, shape.digest if shape else None


def _size(request: EngineRequest) -> int | None:
    return len(request.body) if isinstance(request.body, (bytes, bytearray)) else request.length


def _digest(request: EngineRequest) -> bytes | None:
    """Two requests with the same digest are the same. Of an upload, only path and length are known."""
    size = _size(request)
    if size is None:
        return None
    digest = blake2b(b"%b %b %d " % (request.method, request.target, size), digest_size=DIGEST_SIZE)
    if isinstance(request.body, (bytes, bytearray)):
        digest.update(request.body)
    return digest.digest()


def _find_shape(request: EngineRequest) -> Shape | None:
    body = request.body
    return find_shape(request.target, body) if isinstance(body, (bytes, bytearray)) and body else None


def _explain(model_id: str, conviction: Conviction) -> str:
    minutes = max(1, round((conviction.until - time.monotonic()) / 60))
    fields = " and ".join(f"`{name}`" for name in conviction.fields)
    what = "This request"
    if conviction.level == "shape":
        what = f"A request of the same shape{f' (the same {fields})' if fields else ''}"
    often = f"{conviction.crashes} times" if conviction.crashes > 1 else "once"
    return (
        f'{what} made the engine of model "{model_id}" fail {often}, so sparkd rejects it for another {minutes} '
        f"minute{'s' * (minutes > 1)}. Change the request, or run `sparkctl retry {model_id}` to have it accepted now."
    )


def _log_suspects(model_id: str, suspects: Collection[Suspect], count: int) -> None:
    ids = list(dict.fromkeys(each.request_id for each in suspects))
    named = ", ".join(ids[:NAMED]) + f" and {len(ids) - NAMED} more" * (len(ids) > NAMED)
    alone = {"REQUEST_ID": ids[0]} if len(ids) == 1 else {}
    message = 'Model "%s" failed while it answered %d request%s: %s'
    extra = event("crash-suspects", model_id, REQUESTS=count, **alone)
    logger.warning(message, model_id, count, "s" * (count > 1), named or "unknown", extra=extra)


def _log_conviction(model_id: str, conviction: Conviction, cause: str) -> None:
    what = (
        f"Requests with the same shape as {conviction.request_id}"
        if conviction.level == "shape"
        else (f"Request {conviction.request_id}")
    )
    message = '%s made model "%s" fail %d times, so sparkd rejects the like for a while: %s'
    extra = event("crash-request", model_id, REQUEST_ID=conviction.request_id, LEVEL=conviction.level)
    logger.error(message, what, model_id, conviction.crashes, cause, extra=extra)
