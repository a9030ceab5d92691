"""The templates of the scripted models are as strict as those of the families that they stand for."""

from __future__ import annotations

import pytest

from sparkd.catalog.templates import Template
from sparkd.templates.__main__ import compile_template
from sparkd.templates.probes import read_template
from tests.models import SCRIPTED_MODELS

EXPECTED = {
    "qwen": Template(
        system="first",
        developer=False,
        needs_user=True,
        alternates=False,
        empty_assistant=True,
        null_content=True,
        short_call_ids=False,
    ),
    "harmony": Template(
        system="first",
        developer=True,
        needs_user=False,
        alternates=False,
        empty_assistant=True,
        null_content=True,
        short_call_ids=False,
    ),
    "mistral": Template(
        system="first",
        developer=False,
        needs_user=True,
        alternates=True,
        empty_assistant=False,
        null_content=True,
        short_call_ids=True,
    ),
}


@pytest.mark.parametrize("family", SCRIPTED_MODELS)
def test_what_sparkd_reads_from_them(family: str) -> None:
    text = (SCRIPTED_MODELS[family] / "chat_template.jinja").read_text()
    assert read_template(text, compile_template(text, {})) == EXPECTED[family]
