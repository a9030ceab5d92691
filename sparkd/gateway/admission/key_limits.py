"""How many requests each API key has now, and how many a minute: counted over all of its connections.

A request is counted from when it is forwarded until its response is complete, or has failed, or its client has left,
while it waits for its model as well. Keys without limits are not counted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Final

from sparkd.errors import KeyLimitReached
from sparkd.gateway.admission.key_policies import KeyPolicy
from sparkd.upstream.headers import Headers

RETRY_AFTER: Final = 5.0
"""Seconds after which a client with too many requests at once should try again."""


class RequestRate:
    """At most `per_minute` requests: all of them at once, then one each time that one more may be sent."""

    def __init__(self, per_minute: int, now: float) -> None:
        self.per_minute = per_minute
        self._credit = float(per_minute)
        self._credited = now

    def try_take(self, now: float) -> bool:
        """Count a request. Return False, and do not count it, if it is one too many. `now`: monotonic seconds."""
        self._refill(now)
        if self._credit < 1.0:
            return False
        self._credit -= 1.0
        return True

    def wait(self, now: float) -> float:
        """The seconds until one more request may be sent."""
        self._refill(now)
        return max(0.0, 1.0 - self._credit) * 60.0 / self.per_minute

    def describe(self, now: float) -> dict[str, str]:
        """OpenAI's headers: the limit, how many are left, and when none will have been used."""
        self._refill(now)
        seconds = (self.per_minute - self._credit) * 60.0 / self.per_minute
        return {
            "x-ratelimit-limit-requests": str(self.per_minute),
            "x-ratelimit-remaining-requests": str(int(self._credit)),
            "x-ratelimit-reset-requests": f"{math.ceil(seconds)}s",
        }

    def _refill(self, now: float) -> None:
        grown = (now - self._credited) * self.per_minute / 60.0
        self._credit = min(float(self.per_minute), self._credit + grown)
        self._credited = now


class KeyUsage:
    """The requests of one key."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.rate: RequestRate | None = None


class CountedRequest:
    """One counted request. `headers` are for its response."""

    __slots__ = ("_usage", "headers")

    def __init__(self, usage: KeyUsage, headers: Mapping[str, str]) -> None:
        self._usage: KeyUsage | None = usage
        self.headers: Headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        usage.in_flight += 1

    def release(self) -> None:
        """The request has ended. More calls change nothing."""
        usage, self._usage = self._usage, None
        if usage is not None:
            usage.in_flight -= 1


class KeyLimits:
    """Counts requests by key. It outlives a reload of the catalogue: the requests do so, too."""

    def __init__(self) -> None:
        self._usages: dict[str, KeyUsage] = {}

    def in_flight(self, name: str) -> int:
        """How many counted requests a key has now."""
        usage = self._usages.get(name)
        return usage.in_flight if usage is not None else 0

    def count(self, policy: KeyPolicy | None) -> CountedRequest | None:
        """Count a request until it is released; None for a key without limits. Raises KeyLimitReached."""
        if policy is None or not policy.is_limited:
            return None
        usage = self._usages.get(policy.name)
        if usage is None:
            usage = self._usages[policy.name] = KeyUsage()
        now = time.monotonic()
        rate = _find_rate(usage, policy.rules.rate, now)
        most = policy.rules.max_in_flight
        if most is not None and usage.in_flight >= most:
            raise KeyLimitReached(
                f'The API key "{policy.name}" has {usage.in_flight} requests at once, and may have {most}. Try again '
                "when one of them has ended, or have the owner of sparkd raise `max_in_flight` in `[keys.<name>]`.",
                retry_after=RETRY_AFTER,
                headers=rate.describe(now) if rate else {},
            )
        if rate is not None and not rate.try_take(now):
            raise KeyLimitReached(
                f'The API key "{policy.name}" may send {rate.per_minute} requests a minute. Try again later, or have '
                "the owner of sparkd raise `rate` in `[keys.<name>]`.",
                retry_after=rate.wait(now),
                headers=rate.describe(now),
            )
        return CountedRequest(usage, rate.describe(now) if rate else {})


def _find_rate(usage: KeyUsage, per_minute: int | None, now: float) -> RequestRate | None:
    """The rate of a key. A changed limit begins with all of its requests."""
    if per_minute is None:
        usage.rate = None
    elif usage.rate is None or usage.rate.per_minute != per_minute:
        usage.rate = RequestRate(per_minute, now)
    return usage.rate
