"""Tables of the medians of all rounds, with the ratio of warm to cold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from benchmarks.starts.measures import KINDS, Figures, Kind

GIB = 1 << 30


def render(figures: Figures) -> str:
    """Render all tables as Markdown."""
    seconds = {key: median(values) for key, values in figures.seconds.items()}
    memory = {key: median(values) / GIB for key, values in figures.memory.items()}
    tables = (
        _compare("from the request to the first token, seconds", seconds),
        _compare("memory (PSS), GiB", memory),
        _list_phases(figures),
    )
    return "\n\n".join("\n".join(table) for table in tables)


def _compare(title: str, medians: Mapping[tuple[str, Kind], float]) -> Iterator[str]:
    yield f"| {title} | cold | warm | warm / cold |"
    yield "|---|---:|---:|---:|"
    for row in dict.fromkeys(row for row, _ in medians):
        cold, warm = medians.get((row, "cold")), medians.get((row, "warm"))
        ratio = f"{warm / cold:.2f}" if cold and warm else "-"
        yield f"| {row} | {_format(cold)} | {_format(warm)} | {ratio} |"


def _list_phases(figures: Figures) -> Iterator[str]:
    """List the medians of each phase of each start. A phase that no start of a kind has shown has no figure."""
    columns = [(title, kind) for title in dict.fromkeys(key[0] for key in figures.phases) for kind in KINDS]
    yield "| phase, seconds | " + " | ".join(f"{title}, {kind}" for title, kind in columns) + " |"
    yield "|---|" + "---:|" * len(columns)
    for phase in dict.fromkeys(name for runs in figures.phases.values() for run in runs for name in run):
        cells = (_median_of_phase(figures.phases.get(column, ()), phase) for column in columns)
        yield f"| {phase} | " + " | ".join(map(_format, cells)) + " |"


def _median_of_phase(runs: Sequence[Mapping[str, float]], phase: str) -> float | None:
    values = [run[phase] for run in runs if phase in run]
    return median(values) if values else None


def _format(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
