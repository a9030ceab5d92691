"""Requests in the background and limits per key, with the whole daemon: nobody's model is unloaded for a title."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from sparkd.catalog.reading import read_catalogue
from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import engine
from tests.models import CLONE

RULE = next(rule for rule in read_catalogue(CLONE / "models.toml").clients if rule.name == "open-webui-tasks")
CLIENTS = {RULE.name: {"prompts": list(RULE.prompts), "shape": RULE.shape, "background": True}}
TITLE = f"{RULE.prompts[0]} with an emoji summarizing the chat history."
SIZES = {"memory": {"total": "10 GiB", "reserve": 0, "learn": False}}


def ask_for_title(url: str, model: str) -> httpx.Response:
    """What Open WebUI sends after the first answer of a chat."""
    body = {"model": model, "messages": [{"role": "user", "content": TITLE}], "stream": False}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)


def models(**utility: Any) -> dict[str, Any]:
    return {
        "big": engine(memory="8 GiB"),
        "other": engine(memory="8 GiB"),
        "tiny": engine(memory="1 GiB", lifecycle="utility", **utility),
    }


def test_a_title_for_a_model_that_is_not_loaded_comes_from_the_utility_model(build: Build) -> None:
    sparkd = build(models(), clients=CLIENTS, **SIZES)
    assert sparkd.chat("big").status_code == 200
    pid = sparkd.model("big").pid
    answer = ask_for_title(sparkd.url, "other")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-sparkd-served-by"] == "tiny"
    assert answer.json()["model"] == "other"
    assert (sparkd.model("big").state, sparkd.model("big").pid) == ("ready", pid)
    assert sparkd.model("other").state == "stopped"


def test_without_a_utility_model_it_comes_from_the_loaded_model(build: Build) -> None:
    sparkd = build({"big": engine(memory="8 GiB"), "other": engine(memory="8 GiB")}, clients=CLIENTS, **SIZES)
    assert sparkd.chat("big").status_code == 200
    answer = ask_for_title(sparkd.url, "other")
    assert (answer.status_code, answer.headers["x-sparkd-served-by"]) == (200, "big")
    assert (sparkd.model("big").state, sparkd.model("other").state) == ("ready", "stopped")


def test_a_title_for_a_choice_comes_from_its_loaded_model_or_else_from_the_utility_model(
    build: Build,
) -> None:
    sparkd = build(models(), choices={"coding": ["other", "big"]}, clients=CLIENTS, **SIZES)
    answer = ask_for_title(sparkd.url, "coding")
    assert (answer.headers["x-sparkd-served-by"], answer.json()["model"]) == ("tiny", "coding")
    assert sparkd.model("other").state == sparkd.model("big").state == "stopped"
    assert sparkd.chat("big").status_code == 200
    assert ask_for_title(sparkd.url, "coding").headers["x-sparkd-served-by"] == "big"


def test_a_reload_changes_what_a_key_may_do(build: Build, folder: Path) -> None:
    (folder / "keys").write_text("ann: secret\n")
    server = {"listen": "127.0.0.1:0", "api_key_file": "keys"}
    sparkd = build({"big": engine(), "other": engine()}, server=server, keys={"ann": {"models": ["big"]}})
    with sparkd.openai(api_key="secret") as client:
        assert [model.id for model in client.models.list()] == ["big"]
        sparkd.catalogue.write_text(
            sparkd.catalogue.read_text().replace('"big",\n]', '"big",\n    "other",\n]')
        )
        assert sparkd.sparkctl("reload").returncode == 0
        assert [model.id for model in client.models.list()] == ["big", "other", "warm"]
