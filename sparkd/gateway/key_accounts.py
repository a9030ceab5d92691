"""What each API key may do, and how much of its limits is in use.

A key without a policy has no account, so its requests cost nothing here. Counts belong to one process: while a new
sparkd replaces an old one, the requests that the old one still answers are not counted by the new one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from sparkd.catalog import Catalogue
from sparkd.catalog.client import UNKNOWN_CLIENT, Client
from sparkd.catalog.definitions import Model
from sparkd.catalog.key_policy import DEFAULT_POLICY, KeyPolicy
from sparkd.catalog.messages import join_key
from sparkd.errors import KeyLimitReached, ModelForbidden
from sparkd.upstream.headers import Headers

RETRY_AFTER: Final = 5.0
"""Seconds after which a key with too many requests in flight should try again: most responses take some seconds."""

MAX_LISTED: Final = 10
"""The most models that an error message lists."""


class KeyAccount:
    """The account of one key. `models` has the ids of the models that it may use, None for all of them.

    `client` is how its requests are treated. `clock` returns seconds.
    """

    __slots__ = ("_clock", "_credit", "_credited", "client", "in_flight", "models", "name", "policy")

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.in_flight = 0
        self.models: frozenset[str] | None = None
        self.policy = DEFAULT_POLICY
        self.client = UNKNOWN_CLIENT
        self._clock = clock
        self._credit: float | None = None
        self._credited = clock()

    def use_policy(self, policy: KeyPolicy, models: frozenset[str] | None) -> None:
        """Apply a policy from now on. What is in use stays in use; another rate begins with all of its requests."""
        if policy.rate != self.policy.rate:
            self._credit = None
        self.policy, self.models = policy, models
        self.client = UNKNOWN_CLIENT
        if policy.priority or policy.heartbeat or policy.background:
            self.client = Client(
                priority=policy.priority, heartbeat=policy.heartbeat, background=policy.background
            )

    def check_model(self, model: Model) -> None:
        """Raise ModelForbidden if the key may not use the model."""
        if self.models is not None and model.id not in self.models:
            listed = sorted(self.models)
            more = f" and {len(listed) - MAX_LISTED} more" if len(listed) > MAX_LISTED else ""
            names = ", ".join(f'"{id_}"' for id_ in listed[:MAX_LISTED])
            raise ModelForbidden(
                f'The API key "{self.name}" may not use "{model.id}". It may use {names}{more}. The owner changes '
                f"this with `models` in [{join_key('keys', self.name)}].",
                param="model",
            )

    def acquire(self) -> None:
        """Count one more request. Raises KeyLimitReached, and counts nothing, if the key has no more left."""
        policy = self.policy
        if policy.max_in_flight is not None and self.in_flight >= policy.max_in_flight:
            raise KeyLimitReached(
                f'The API key "{self.name}" has {self.in_flight} requests in flight, which is the most that it may '
                "have. Wait until one of them has ended.",
                retry_after=RETRY_AFTER,
            )
        if policy.rate is not None:
            credit = self._renew_credit(policy.rate)
            if credit < 1:
                raise KeyLimitReached(
                    f'The API key "{self.name}" may send {policy.rate} requests per minute, and has sent them.',
                    retry_after=(1 - credit) * 60 / policy.rate,
                )
            self._credit = credit - 1
        self.in_flight += 1

    def release(self) -> None:
        """Count a request that has ended, however it did."""
        self.in_flight -= 1

    def headers(self) -> Headers:
        """The headers with which OpenAI's API reports a rate limit; none without one."""
        rate = self.policy.rate
        if rate is None:
            return []
        credit = self._renew_credit(rate)
        return [
            (b"x-ratelimit-limit-requests", b"%d" % rate),
            (b"x-ratelimit-remaining-requests", b"%d" % credit),
            (b"x-ratelimit-reset-requests", b"%.3fs" % ((rate - credit) * 60 / rate)),
        ]

    def _renew_credit(self, rate: int) -> float:
        """How many requests may come now: it grows up to `rate` within a minute."""
        now = self._clock()
        if self._credit is None:
            self._credit = float(rate)
        self._credit = min(float(rate), self._credit + (now - self._credited) * rate / 60)
        self._credited = now
        return self._credit


class KeyAccounts:
    """The accounts of a catalogue's keys. They outlive a reload, so that nothing in use is forgotten."""

    def __init__(self) -> None:
        self._accounts: dict[str, KeyAccount] = {}
        self._known: dict[str, KeyAccount] = {}

    def use_catalogue(self, catalogue: Catalogue) -> None:
        """Apply the policies of this catalogue from now on."""
        self._known = {}
        for name, policy in catalogue.keys.items():
            account = self._accounts.setdefault(name, KeyAccount(name))
            account.use_policy(policy, catalogue.select_models(policy.models) if policy.models else None)
            self._known[name] = account

    def find(self, name: str | None) -> KeyAccount | None:
        """The account of the key with this name; None if the catalogue has no policy for it."""
        return self._known.get(name) if name is not None else None
