"""Configurations of client programs over the control API: models, keys, secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sparkd.catalog import Catalogue
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.keys import read_keys
from sparkd.clients.names import PURPOSES
from sparkd.control.client_source import ClientSource
from sparkd.control.clients import client_routes
from tests.control.fake_supervisor import FakeSupervisor, serve_fake_daemon
from tests.models import VENVS

SECRET = "sk-ada-0123456789"
CATALOGUE = f"""
[paths]
venvs = "{VENVS}"
[server]
api_key_file = "keys"

[keys.children]
models = ["tiny"]

[models.qwen]
runtime = "cpu"
source = "Qwen/Qwen3"
aliases = ["coder"]
context_length = 32768
memory = "20 GiB"

[models.tiny]
runtime = "cpu"
source = "org/tiny"
context_length = 8192
memory = "1 GiB"
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    folder = tmp_path / "catalogue"
    folder.mkdir()
    (folder / "keys").write_text(f"ada: {SECRET}\nchildren: sk-children\n")
    (folder / "models.toml").write_text(CATALOGUE)
    return read_catalogue(folder / "models.toml")


@pytest.fixture
def http(tmp_path: Path, catalogue: Catalogue) -> Iterator[httpx.Client]:
    keys = read_keys(catalogue)

    def routes(_: FakeSupervisor) -> Any:
        return client_routes(
            ClientSource(
                catalogue=lambda: catalogue,
                listen=lambda: ("0.0.0.0:8009", "[::1]:8009"),
                key_names=lambda: keys.names,
            )
        )

    with serve_fake_daemon(tmp_path, routes=routes) as served:
        transport = httpx.HTTPTransport(uds=str(served.socket))
        with httpx.Client(transport=transport, base_url="http://sparkd", timeout=30) as client:
            yield client


def test_the_list_has_programs_keys_and_models_and_no_secret(http: httpx.Client) -> None:
    answer = http.get("/clients")
    found = answer.json()
    assert found["base"] == "http://localhost:8009"
    assert [key["name"] for key in found["keys"]] == ["ada", "children"]
    assert found["keys"][1]["rules"]["models"] == ["tiny"]
    assert {program["id"] for program in found["programs"]} == set(PURPOSES)
    assert found["models"] == ["qwen", "tiny"]
    assert SECRET not in answer.text


@pytest.mark.parametrize("program", PURPOSES)
def test_every_program_has_a_configuration_without_the_key(http: httpx.Client, program: str) -> None:
    answer = http.get(f"/clients/{program}", params={"key": "ada", "base": "http://spark:8009/v1"})
    found = answer.json()
    assert found["files"] or found["lines"]
    assert found["base"] == "http://spark:8009"
    assert "spark:8009" in answer.text
    assert (found["needs_key"], found["has_secret"]) == (True, False)
    assert SECRET not in answer.text
    assert found["command"].startswith(f"sparkctl client {program} --url http://spark:8009")


def test_the_key_is_put_in_by_a_post_only(http: httpx.Client) -> None:
    assert SECRET not in http.get("/clients/cline?key=ada&secret=true").text
    answer = http.post("/clients/cline", content=json.dumps({"key": "ada", "secret": True}))
    assert SECRET in answer.text
    assert answer.json()["has_secret"] is True
    assert answer.headers["cache-control"] == "no-store"
    assert "Name the key" in http.post("/clients/cline", content=b'{"secret": true}').text


def test_a_key_that_is_limited_gets_its_models_only(http: httpx.Client) -> None:
    found = http.get("/clients/opencode?key=children").json()
    assert [model["id"] for model in found["models"]] == ["tiny"]
    assert "qwen" not in found["files"][0]["text"]
    refused = http.get("/clients/opencode?key=children&model=coder")
    assert refused.status_code == 400
    assert 'may not use the model "qwen"' in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("key=adda", 'did you mean \\"ada\\"?'),
        ("model=qwem", "qwen"),
        ("base=ftp://x", "http://spark.local:8009"),
        ("base=http://x%0d%0ay", "http://spark.local:8009"),
    ],
)
def test_a_mistake_is_named_with_what_is_valid(http: httpx.Client, query: str, problem: str) -> None:
    answer = http.get(f"/clients/opencode?{query}")
    assert answer.status_code in (400, 404)
    assert problem in answer.text


def test_an_unknown_program_is_404_with_the_nearest_one(http: httpx.Client) -> None:
    answer = http.get("/clients/claud-code")
    assert (answer.status_code, "claude-code" in answer.text) == (404, True)


def test_the_command_is_safe_to_paste(http: httpx.Client) -> None:
    found = http.get("/clients/opencode", params={"base": "http://x/$(id);y"}).json()
    assert "'http://x/$(id);y'" in found["command"]
