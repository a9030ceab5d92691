"""Forecasts as sentences for people."""

from __future__ import annotations

from typing import Final

from sparkd.scheduling.forecast import Forecast, Leaving

MOST_NAMES: Final = 2
"""Models that a sentence names."""


def describe_forecast(forecast: Forecast) -> str:
    """Return one to three sentences: “Position 2 in the queue. gpt-oss-20b is loading weights, 40 %, about 50 s left.”

    The time left is always that of the request: until its own model is ready.
    """
    match forecast.stage:
        case "ready":
            text = f"{forecast.model} is ready."
        case "loading":
            text = f"{_describe_load(forecast)}{_describe_time_left(forecast)}."
        case "downloading":
            text = f"{forecast.model} is being downloaded{_share(forecast)}{_describe_time_left(forecast)}."
        case "evicting":
            text = f"{_describe_leaving(forecast)}{_describe_time_left(forecast)}."
        case "queued":
            text = f"Position {forecast.position or 1} in the queue{_describe_time_left(forecast)}."
            if forecast.loading:
                text += f" {_describe_load(forecast)}."
            if forecast.leaving:
                text += f" {'Then ' if forecast.loading else ''}{_describe_leaving(forecast)}."
    return f"{text} {forecast.blocked_by}".rstrip()


def describe_time(seconds: float) -> str:
    """Return a duration as precise as an estimate is: "a few seconds", "about 20 s", "about 1 h 10 min"."""
    if seconds < 7.5:
        return "a few seconds"
    if seconds < 57.5:
        return f"about {round(seconds / 5) * 5} s"
    if seconds < 105:
        return f"about {round(seconds / 10) * 10} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"about {minutes} min"
    hours, rest = divmod(round(minutes / 10) * 10, 60)
    return f"about {hours} h {rest} min" if rest else f"about {hours} h"


def _describe_time_left(forecast: Forecast) -> str:
    return "" if forecast.seconds is None else f", {describe_time(forecast.seconds)} left"


def _describe_leaving(forecast: Forecast) -> str:
    """What makes room: "qwen (after its 2 requests) leaves the memory for gpt-oss-20b"."""
    if not forecast.leaving:
        return f"Other models leave the memory for {forecast.model}"
    named = [_name_leaving(each) for each in forecast.leaving[:MOST_NAMES]]
    if more := len(forecast.leaving) - len(named):
        named.append(f"{more} more")
    names = " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))
    return f"{names} {'leave' if len(forecast.leaving) > 1 else 'leaves'} the memory for {forecast.model}"


def _name_leaving(leaving: Leaving) -> str:
    if not leaving.in_flight:
        return leaving.model
    return f"{leaving.model} (after its {_count_requests(leaving.in_flight)})"


def _count_requests(number: int) -> str:
    return "request" if number == 1 else f"{number} requests"


def _describe_load(forecast: Forecast) -> str:
    """What the model that loads does now: "gpt-oss-20b is loading weights, 40 %"."""
    phase = forecast.phase or ""
    # Phases are either what it does ("loading weights") or what it has done ("weights loaded").
    activity = (
        phase if phase.split(" ", 1)[0].endswith("ing") else "loading" + (f" ({phase})" if phase else "")
    )
    return f"{forecast.loading or forecast.model} is {activity}{_share(forecast)}"


def _share(forecast: Forecast) -> str:
    return "" if forecast.progress is None else f", {round(100 * forecast.progress)} %"
