"""The page explains the rules that rewrite requests as the documentation does."""

from __future__ import annotations

import re
from pathlib import Path

from sparkd.rewriting.rules import RULES

CLONE = Path(__file__).resolve().parent.parent.parent
SCRIPT = CLONE / "sparkd" / "page" / "static" / "views" / "requests" / "rules.js"


def explained() -> dict[str, str]:
    lines = re.findall(r"""^  "?([a-z-]+)"?: (["'])(.*)\2,$""", SCRIPT.read_text(), re.MULTILINE)
    return {name: text.replace("\\\\", "\\").replace('\\"', '"') for name, _, text in lines}


def documented() -> dict[str, str]:
    text = (CLONE / "docs" / "requests.md").read_text()
    table = text[text.index("| rule | key | for |") :].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {name: effect.replace("`", "") for name, _, _, effect in rows}


def test_every_rule_is_explained() -> None:
    assert {rule.name for rule in RULES} <= explained().keys()


def test_the_explanations_are_those_of_the_documentation() -> None:
    assert {**documented(), "background-model": explained()["background-model"]} == explained()
