"""What clients are configured with follows from the catalogue, and from nothing else."""

from __future__ import annotations

from pathlib import Path

from sparkd.catalog import Catalogue
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reference.clients import cline_settings, opencode_config

SHIPPED = Path(__file__).resolve().parent.parent.parent / "models.toml"
URL = "http://spark:8009/v1"

CATALOGUE = """
[models.coder]
engine = "command"
command = ["x", "{socket}"]
description = "Coder 7B: for code"
tags = ["code"]
clients.opencode = { context = 30000, output = 4096 }
clients.cline.context = 32000

[models.better]
engine = "command"
command = ["x", "{socket}"]
status = "validated"
tags = ["code"]
vision = true
clients.opencode = { context = 60000 }

[models.titles]
engine = "command"
command = ["x", "{socket}"]
lifecycle = "utility"
rewriting.tools = "strip"
clients.opencode = { context = 8000, output = 1000 }

[models.by-hand]
engine = "command"
command = ["x", "{socket}"]
status = "manual"
clients.opencode.context = 9000
clients.cline.context = 9000

[models.without-limits]
engine = "command"
command = ["x", "{socket}"]
"""


def read(folder: Path, text: str = CATALOGUE) -> Catalogue:
    (folder / "models.toml").write_text(text)
    return read_catalogue(folder / "models.toml")


def test_opencode_gets_the_models_with_limits_for_it(tmp_path: Path) -> None:
    found = opencode_config(read(tmp_path), URL)
    provider = found["provider"]["sparkd"]
    assert provider["options"] == {"baseURL": URL, "apiKey": "none"}
    assert list(provider["models"]) == ["coder", "better", "titles"], (
        "the manual one is served and not offered"
    )
    assert provider["models"]["coder"] == {
        "name": "Coder 7B",
        "limit": {"context": 30000, "output": 4096},
        "tool_call": True,
        "reasoning": False,
        "attachment": False,
        "modalities": {"input": ["text"], "output": ["text"]},
    }
    assert provider["models"]["better"]["modalities"]["input"] == ["text", "image"]
    assert provider["models"]["titles"]["tool_call"] is False


def test_opencode_begins_with_the_best_for_code_and_has_the_utility_for_titles(tmp_path: Path) -> None:
    catalogue = read(tmp_path)
    found = opencode_config(catalogue, URL)
    assert (found["model"], found["small_model"]) == ("sparkd/better", "sparkd/titles")
    assert opencode_config(catalogue, URL, catalogue.find("coder"))["model"] == "sparkd/coder"


def test_no_file_contains_the_key(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("secret\n")
    found = opencode_config(read(tmp_path, f'[server]\napi_key_file = "keys"\n{CATALOGUE}'), URL)
    assert found["provider"]["sparkd"]["options"]["apiKey"] == "{env:SPARKD_API_KEY}"


def test_cline_gets_what_is_to_be_typed(tmp_path: Path) -> None:
    assert [(each.model, each.context_window) for each in cline_settings(read(tmp_path))] == [
        ("coder", 32000)
    ]


def test_the_shipped_models_are_offered_as_they_were() -> None:
    catalogue = read_catalogue(SHIPPED)
    found = opencode_config(catalogue, URL)
    assert len(found["provider"]["sparkd"]["models"]) == 12
    assert found["small_model"] == "sparkd/qwen3.5-0.8b"
    assert len(cline_settings(catalogue)) == 6
