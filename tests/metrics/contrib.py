"""The dashboard and the alert rules of contrib/, read for tests."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

CONTRIB = Path(__file__).resolve().parents[2] / "contrib"
DASHBOARD = CONTRIB / "grafana" / "sparkd.json"
RULES = CONTRIB / "prometheus" / "sparkd.rules.yml"


def find_program(name: str) -> str:
    """The path of `prometheus` or `promtool`. Raises RuntimeError with what to install."""
    if (path := shutil.which(name)) is None:
        raise RuntimeError(f"The tests of metrics need {name}. Install it: sudo apt-get install prometheus")
    return path


def read_yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path)


def read_dashboard() -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return dashboard


def dashboard_queries() -> Iterator[tuple[str, str, str]]:
    """The title of the panel, the query and its legend, for each query; those of annotations have no legend."""
    dashboard = read_dashboard()
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"], target["legendFormat"]
    for annotation in dashboard["annotations"]["list"]:
        if "expr" in annotation:
            yield annotation["name"], annotation["expr"], ""


def fill_in(query: str) -> str:
    """A query as Grafana sends it, with everything selected."""
    for name, value in (
        ("$__rate_interval", "1m"),
        ("$__range", "6h"),
        ("$instance", ".*"),
        ("$model", ".*"),
    ):
        query = query.replace(name, value)
    assert "$" not in query
    return query


def alerts() -> list[dict[str, Any]]:
    return [rule for group in read_yaml(RULES)["groups"] for rule in group["rules"]]


def names_in(query: str) -> set[str]:
    """The names of metrics in a query."""
    without_texts = re.sub(r'"[^"]*"', '""', query)
    return set(re.findall(r"\b(?:sparkd_|vllm:|process_)[a-z0-9_:]+|\bup(?=\{)", without_texts))


if __name__ == "__main__":  # called by scripts/test, before anything else takes time
    try:
        find_program("prometheus")
        find_program("promtool")
    except RuntimeError as error:
        sys.exit(str(error))
