"""What the record says of each model: when it was used last, how often it was loaded, how fast it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from msgspec import Struct

SPEED_DAYS: Final = 30
"""Days whose requests count for the speed of a model."""


class ModelUse(Struct, frozen=True):
    """`last_used` is a time, `loads` counts the recorded loads, `speed` is tokens a second of one request.

    None is unknown.
    """

    last_used: float | None = None
    loads: int | None = None
    speed: float | None = None


def read_model_use(connection: sqlite3.Connection) -> Mapping[str, ModelUse]:
    """Read all models that are in the record, by id. Raises sqlite3.Error."""
    since = (date.today() - timedelta(days=SPEED_DAYS)).isoformat()
    last = dict(connection.execute("SELECT model, max(ended) FROM requests GROUP BY model").fetchall())
    loads = dict(
        connection.execute(
            "SELECT model, count(*) FROM changes WHERE state = 'ready' GROUP BY model"
        ).fetchall()
    )
    sums = connection.execute(
        "SELECT model, sum(timed_tokens) / sum(output_seconds) FROM days WHERE day >= ? GROUP BY model",
        (since,),
    )
    speeds = dict(sums.fetchall())
    return {
        model: ModelUse(last.get(model), loads.get(model), speeds.get(model))
        for model in last.keys() | loads.keys() | speeds.keys()
    }
