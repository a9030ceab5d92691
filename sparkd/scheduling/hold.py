"""A hold: somebody keeps a model loaded until a time, for a job."""

from __future__ import annotations

import datetime
from typing import Final, Protocol

from msgspec import Struct

from sparkd.catalog.definitions import Model

SAME_DAY: Final = 12 * 3600.0
"""Seconds up to which a time of day is clear without its date."""


class Hold(Struct, frozen=True, kw_only=True):
    """Keeps a model loaded until `ends` (caller's clock, seconds). `until` is the same as Unix time, for people.

    `owner` is who holds it: the name of an API key or of a user, "" if unknown.
    """

    id: str
    model: str
    ends: float
    until: float
    owner: str = ""
    job: str = ""
    reason: str = ""

    def describe(self, now: float) -> str:
        """What it is, such as "held until 18:00 by laptop for fine-tuning: the run must not stop", in local time."""
        form = "%H:%M" if self.ends - now < SAME_DAY else "%a %d %b %H:%M"
        text = f"held until {datetime.datetime.fromtimestamp(self.until).astimezone().strftime(form)}"
        if self.owner:
            text += f" by {self.owner}"
        if self.job:
            text += f" for {self.job}"
        return f"{text}: {self.reason}" if self.reason else text

    def status(self, now: float) -> HoldStatus:
        """The hold as it is reported."""
        return HoldStatus(
            id=self.id,
            model=self.model,
            seconds_left=max(0.0, self.ends - now),
            owner=self.owner,
            job=self.job,
            reason=self.reason,
        )


class HoldStatus(Struct, frozen=True, kw_only=True):
    """A hold as it is now: who keeps which model loaded, for how many seconds yet, for which job, and why."""

    id: str
    model: str
    seconds_left: float
    owner: str = ""
    job: str = ""
    reason: str = ""


class HoldRequest(Struct, frozen=True, kw_only=True):
    """What `sparkctl hold` asks for: for how many seconds, and the owner, the job and the reason."""

    seconds: float
    owner: str = ""
    job: str = ""
    reason: str = ""


class Holds(Protocol):
    """Keeps models loaded."""

    def begin(
        self, model: Model, seconds: float, *, owner: str = "", job: str = "", reason: str = ""
    ) -> Hold:
        """Keep the model loaded for that time. Raises InvalidRequest, HoldConflict and Refusal."""
        ...

    def end(self, hold_id: str, by: str) -> Hold:
        """End a hold. Raises HoldNotFound."""
        ...

    def find(self, hold_id: str) -> Hold:
        """The hold with that id. Raises HoldNotFound."""
        ...

    def all(self) -> list[Hold]:
        """All holds."""
        ...
