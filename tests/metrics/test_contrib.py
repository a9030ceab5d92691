"""The dashboard and the alert rules refer to metrics, labels and headings that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from sparkd.metrics.families import FAMILIES
from tests.metrics.contrib import (
    CONTRIB,
    RULES,
    alerts,
    dashboard_queries,
    fill_in,
    find_program,
    names_in,
    read_dashboard,
    read_yaml,
)
from tests.models import RUNTIMES
from tests.test_docs import anchors

DOCS = CONTRIB.parent / "docs" / "monitoring.md"

LABELS = {family.name: set(family.labels) for family in FAMILIES}
for family in FAMILIES:
    if family.kind == "histogram":
        LABELS |= {f"{family.name}_{end}": LABELS[family.name] for end in ("count", "sum")}
        LABELS[f"{family.name}_bucket"] = LABELS[family.name] | {"le"}
LABELS |= {name: set() for name in ("up", "process_cpu_seconds_total", "process_resident_memory_bytes")}
LABELS["sparkd_engine_up"] = {"model_name"}
OF_PROMETHEUS = {"instance", "job"}

QUERIES = [
    *(pytest.param(query, legend, id=title) for title, query, legend in dashboard_queries()),
    *(pytest.param(rule["expr"], "", id=rule["alert"]) for rule in alerts()),
    *(
        pytest.param(variable["definition"], "", id=variable["name"])
        for variable in read_dashboard()["templating"]["list"]
        if "definition" in variable
    ),
]


@pytest.mark.parametrize(("query", "legend"), QUERIES)
def test_every_metric_and_label_exists(query: str, legend: str) -> None:
    names = names_in(query)
    assert names
    known = {name for name in names if not name.startswith("vllm:")}
    assert known <= set(LABELS)
    for name, selector in re.findall(r"(sparkd_\w+)\{([^}]*)\}", query):
        for label, value in re.findall(r'(\w+)[=!]~?"([^"]*)"', selector):
            assert label in LABELS[name] | OF_PROMETHEUS, f"{name} has no label {label}"
            if label in ("kind", "state", "reason", "phase", "type", "outcome", "window", "stalled"):
                [described] = [each.help for each in FAMILIES if name.startswith(each.name)]
                assert all(word in described for word in value.split("|")), f"{label} of {name}: {value}"
    if known == names:
        allowed = set().union(*(LABELS[name] for name in names)) | OF_PROMETHEUS
        grouped = re.findall(r"by \(([^)]*)\)", query)
        used = {label.strip() for group in grouped for label in group.split(",") if label.strip()}
        assert used | set(re.findall(r"\{\{(\w+)\}\}", legend)) <= allowed


def test_every_metric_of_vllm_exists_in_the_vllm_that_the_tests_use() -> None:
    [folder] = RUNTIMES.glob("cpu-*/lib/python*/site-packages/vllm/v1")
    source = "".join(path.read_text() for path in folder.glob("**/*.py") if "metrics" in str(path))
    for _, query, _ in dashboard_queries():
        for name in names_in(query):
            if name.startswith("vllm:"):
                declared = re.sub(r"_(total|bucket|count|sum)$", "", name)
                assert f'"{declared}"' in source, name


def test_the_dashboard_is_classic_and_can_be_provisioned() -> None:
    dashboard = read_dashboard()
    assert dashboard["uid"] == "sparkd"
    assert "__inputs" not in dashboard
    assert "elements" not in dashboard
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    rows = [panel["title"] for panel in panels if panel["type"] == "row"]
    assert rows == ["Now", "Models", "Requests", "Tokens", "Queue", "Memory", "GPU", "Engines"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} covers another panel"
        assert max(x for x, _ in cells) < 24
        taken |= cells
        for part in (panel, *panel.get("targets", ())):
            assert part.get("datasource", {"uid": "${datasource}"})["uid"] == "${datasource}"


def test_every_family_is_on_the_dashboard_or_in_a_rule() -> None:
    """Except those that only say what something is."""
    queries = " ".join(
        [*(query for _, query, _ in dashboard_queries()), *(rule["expr"] for rule in alerts())]
    )
    missing = {family.name for family in FAMILIES if family.name not in queries}
    assert missing <= {
        "sparkd_build_info",
        "sparkd_replacements_total",
        "sparkd_gpu_info",
        "sparkd_model_info",
        "sparkd_quarantines_total",
        "sparkd_pull_bytes",
        "sparkd_pull_total_bytes",
    }


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: str(rule["alert"]))
def test_every_alert_says_what_happened_what_to_do_and_where_to_read_more(
    rule: dict[str, dict[str, str]],
) -> None:
    page, _, anchor = rule["annotations"]["docs"].partition("#")
    assert (CONTRIB.parent / page) == DOCS
    assert anchor in list(anchors(DOCS))
    assert rule["annotations"]["description"].endswith(".")
    assert not rule["annotations"]["summary"].endswith(".")
    assert rule["labels"]["severity"] in ("warning", "critical")


@pytest.mark.parametrize(
    "command",
    [
        ["check", "config", str(CONTRIB / "prometheus" / "prometheus.yml")],
        ["check", "rules", str(RULES)],
        ["test", "rules", str(RULES.with_name("sparkd.rules.test.yml"))],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_promtool_accepts(command: list[str]) -> None:
    ran = subprocess.run([find_program("promtool"), *command], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_rules_have_a_test_each() -> None:
    tests = RULES.with_name("sparkd.rules.test.yml").read_text()
    assert [rule["alert"] for rule in alerts() if rule["alert"] not in tests] == []


@pytest.mark.parametrize(
    "path", sorted((CONTRIB / "grafana" / "provisioning").glob("*/*.yml")), ids=lambda path: path.name
)
def test_provisioning_files_are_yaml_of_the_current_format(path: Path) -> None:
    assert read_yaml(path)["apiVersion"] == 1


def test_a_filled_in_query_has_no_variables() -> None:
    for _, query, _ in dashboard_queries():
        fill_in(query)
