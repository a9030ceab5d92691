"""The table of families in docs/monitoring.md: `python -m sparkd.metrics.reference` rewrites it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sparkd.catalog.generated import replace_generated
from sparkd.metrics.families import FAMILIES, Family

FILE: Final = Path(__file__).parents[2] / "docs" / "monitoring.md"
MARK: Final = "<!-- Generated: python -m sparkd.metrics.reference -->\n"


def render_table() -> str:
    """Every family, in Markdown."""
    rows = [
        f"| `{family.name}` | {family.kind} | {_labels(family)} | {_describe(family)} |"
        for family in FAMILIES
    ]
    return "\n".join(["", "| family | type | labels | meaning |", "|---|---|---|---|", *rows, ""])


def _labels(family: Family) -> str:
    return ", ".join(f"`{label}`" for label in family.labels)


def _describe(family: Family) -> str:
    if not family.buckets:
        return family.help
    bounds = ", ".join(f"{bound:g}" for bound in family.buckets)
    return f"{family.help} Buckets up to {bounds} s."


def render_page() -> str:
    """docs/monitoring.md with the table of the current families."""
    return replace_generated(FILE.read_text(), MARK, render_table())


if __name__ == "__main__":
    FILE.write_text(render_page())
