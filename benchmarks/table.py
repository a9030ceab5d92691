"""Tables of the medians of all rounds, and of the ratios between sparkd and the others."""

from __future__ import annotations

import statistics

from benchmarks.measures import Figures

MORE_IS_BETTER = ("requests/s", "k/s")


def table(rounds: dict[str, list[Figures]]) -> str:
    """Render a Markdown table of medians, with a table of ratios below it."""
    medians = {name: _medians(taken) for name, taken in rounds.items()}
    rows = list(dict.fromkeys(row for figures in medians.values() for row in figures))
    lines = _lines(
        "", list(medians), {row: [_figure(medians[name].get(row)) for name in medians] for row in rows}
    )
    others = [name for name in medians if name not in ("sparkd", "direct")]
    if "sparkd" in medians and others:
        ratios = {row: [_ratio(row, medians["sparkd"], medians[name]) for name in others] for row in rows}
        lines += ["", *_lines("sparkd is … times as good as", others, ratios)]
    return "\n".join(lines)


def _medians(taken: list[Figures]) -> Figures:
    return {row: statistics.median(figures[row] for figures in taken) for row in taken[0]}


def _lines(corner: str, names: list[str], rows: dict[str, list[str]]) -> list[str]:
    head = [f"| {corner} | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    return head + [f"| {row} | " + " | ".join(cells) + " |" for row, cells in rows.items()]


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _ratio(row: str, ours: Figures, theirs: Figures) -> str:
    if row not in ours or row not in theirs:
        return "-"
    better = ours[row] / theirs[row] if row.endswith(MORE_IS_BETTER) else theirs[row] / ours[row]
    return f"{better:.2f}"
