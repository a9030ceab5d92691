"""All models in one response, and the options of one, from a real sparkd."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sparkd.control.model_rows import model_row_routes
from sparkd.learning.load_estimates import PastLoad
from sparkd.scheduling.memory import Footprint
from sparkd.supervising.model_facts import UsedModel
from sparkd.usage.model_use import ModelUse
from tests.control.fake_supervisor import FakeDaemon, FakeSupervisor, serve_fake_daemon
from tests.control.test_catalogue_edits import connect
from tests.e2e.conftest import Build, build, folder
from tests.e2e.sparkd_process import engine

__all__ = ["build", "folder"]


class Facts:
    """Facts that a test sets."""

    def __init__(self) -> None:
        self.models: dict[str, UsedModel] = {}

    def used(self) -> dict[str, UsedModel]:
        return dict(self.models)

    def footprint(self, model: object) -> Footprint:  # noqa: ARG002
        return Footprint(5, "declared")

    def load_times(self) -> dict[str, float]:
        return {"qwen": 12.0}

    def loads(self, model: object) -> list[PastLoad]:  # noqa: ARG002
        return [PastLoad(3.0, {"weights": 2.0}, is_warm=True)]


FACTS = Facts()


async def usage() -> dict[str, ModelUse]:
    return {"tiny": ModelUse(last_used=7.0, loads=3, speed=40.0)}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[FakeDaemon]:
    def routes(supervisor: FakeSupervisor) -> list[object]:
        return list(model_row_routes(supervisor, FACTS, usage))

    with serve_fake_daemon(tmp_path, routes) as served:  # type: ignore[arg-type]
        yield served


def test_rows_have_what_is_known_and_null_for_the_rest(served: FakeDaemon) -> None:
    FACTS.models = {"qwen": UsedModel("ready", False, 9, "learned", 100.0, True)}
    with connect(served) as http:
        rows = {row["id"]: row for row in http.get("/models").json()}
        loads = http.get("/models/coder/loads").json()
    assert list(rows) == ["qwen", "tiny", "old"]
    assert (rows["qwen"]["state"], rows["qwen"]["footprint"], rows["qwen"]["held"]) == ("ready", 9, True)
    assert (rows["qwen"]["load_time"], rows["qwen"]["speed"]) == (12.0, None)
    assert (rows["tiny"]["last_used"], rows["tiny"]["loads"], rows["tiny"]["speed"]) == (7.0, 3, 40.0)
    assert (rows["old"]["enabled"], rows["old"]["reason"]) == (False, "its license ran out")
    assert rows["tiny"]["disk"] == {"state": "complete", "size": 0, "bytes_left": 0, "downloading": False}
    assert loads == [{"seconds": 3.0, "phases": {"weights": 2.0}, "warm": True}]


def test_a_client_that_has_the_rows_gets_304_until_something_changes(served: FakeDaemon) -> None:
    FACTS.models = {}
    with connect(served) as http:
        first = http.get("/models")
        assert first.headers["content-encoding"] == "gzip"
        tag = {"if-none-match": first.headers["etag"]}
        assert http.get("/models", headers=tag).status_code == 304
        FACTS.models = {"tiny": UsedModel("starting", False, 5, "declared", None, False)}
        assert http.get("/models", headers=tag).status_code == 200
        plain = http.get("/models", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert json.loads(plain.content)[1]["state"] == "starting"


def test_options_say_where_each_value_comes_from(build: Build) -> None:
    environment = {"HF_TOKEN": "hf_s3cr3t", "OMP_NUM_THREADS": "4"}
    models = {"a": engine(environment=environment, family="f", aliases=["b/c"])}
    sparkd = build(models, families={"f": {"tags": ["chat"]}}, defaults={"idle_timeout": 77})
    transport = httpx.HTTPTransport(uds=str(sparkd.folder / "run" / "control.sock"))
    with httpx.Client(transport=transport, base_url="http://sparkd", timeout=30) as http:
        answer = http.get("/models/b/c/options")
        assert "hf_s3cr3t" not in answer.text
        found = answer.json()
        assert http.get("/models/a/files").json() == []
    options = {option["key"]: option for option in found["options"]}
    text = sparkd.catalogue.read_text().splitlines()
    for key, source, line in (
        ("memory", "model", 'memory = "1 GiB"'),
        ("tags", "family", "tags = ["),
        ("idle_timeout", "default", "idle_timeout = 77"),
        ("environment.OMP_NUM_THREADS", "model", 'OMP_NUM_THREADS = "4"'),
    ):
        assert options[key]["source"] == source
        assert text[options[key]["line"] - 1] == line
    assert options["pinned"]["source"] == "built-in"
    assert options["pinned"]["file"] is None
    assert found["environment"]["HF_TOKEN"] == "•••"
    assert found["command"][-2:] == ["--model", "a"]
