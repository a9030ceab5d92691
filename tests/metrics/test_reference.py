"""docs/monitoring.md has every family, as it is."""

from __future__ import annotations

import re

from sparkd.metrics.families import FAMILIES
from sparkd.metrics.reference import FILE, render_page


def test_the_table_is_that_of_the_current_families() -> None:
    assert FILE.read_text() == render_page(), "Run python -m sparkd.metrics.reference"


def test_every_family_that_the_page_names_exists() -> None:
    known = {family.name for family in FAMILIES} | {"sparkd_engine_up"}
    assert set(re.findall(r"\bsparkd_[a-z_]+\b", FILE.read_text())) <= known
