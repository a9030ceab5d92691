"""The catalogue edited over the control API."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from sparkd.catalog.reading import read_catalogue
from sparkd.control.catalogue import catalogue_routes
from sparkd.control.doctor import doctor_routes
from sparkd.control.viewer import VIEWER, Rights, Viewer
from sparkd.editing.store import LocalStore
from tests.control.fake_supervisor import FakeDaemon, FakeSupervisor, serve_fake_daemon

OWN = "/catalogue/models.d/own.toml"
GOOD = "[changes.qwen]\npinned = true\n"
BAD = "[changes.qwen]\npined = true\n"


def routes(supervisor: FakeSupervisor) -> Sequence[BaseRoute]:
    return catalogue_routes(supervisor, supervisor, LocalStore)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[FakeDaemon]:
    with serve_fake_daemon(tmp_path, routes) as served:
        yield served


@pytest.fixture
def http(served: FakeDaemon) -> Iterator[httpx.Client]:
    with connect(served) as client:
        yield client


def connect(served: FakeDaemon) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=str(served.socket))
    return httpx.Client(transport=transport, base_url="http://sparkd", trust_env=False, timeout=30)


def put(http: httpx.Client, text: str, digest: str | None = None) -> httpx.Response:
    return http.put(OWN, json={"text": text, "digest": digest})


def test_a_drop_in_is_created_changed_deleted_and_each_is_undone(http: httpx.Client, tmp_path: Path) -> None:
    first = put(http, GOOD).json()
    second = put(http, GOOD + "warm = false\n", first["digest"]).json()
    assert http.delete(OWN, params={"digest": second["digest"]}).json()["digest"] is None
    texts = [http.post("/catalogue/undo", json={}).json()["digest"] for _ in range(3)]
    assert texts == [second["digest"], first["digest"], None]
    assert http.post("/catalogue/undo", json={}).status_code == 404
    edits = http.get("/catalogue").json()["edits"]
    assert [(edit["kind"], edit["undone"] is None) for edit in edits] == [
        ("deleted", False),
        ("changed", False),
        ("created", False),
    ]
    assert http.post("/catalogue/undo", json={"edit": 1}).json()["digest"] == first["digest"]
    assert read_catalogue(tmp_path / "models.toml").models["qwen"].pinned


def test_an_invalid_text_is_refused_whole_and_its_problems_have_lines(
    http: httpx.Client, tmp_path: Path
) -> None:
    answer = put(http, BAD)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "catalogue_invalid")
    [problem] = answer.json()["problems"]
    assert (problem["file"], problem["line"], problem["suggestion"]) == ("models.d/own.toml", 2, "pinned")
    assert not (tmp_path / "models.d" / "own.toml").exists()
    checked = http.post("/catalogue/check", json={"file": "models.d/own.toml", "text": BAD}).json()
    assert (checked["problems"], checked["plan"]) == ([problem], None)


def test_a_check_shows_the_plan_and_the_changed_lines(served: FakeDaemon, http: httpx.Client) -> None:
    served.run_on_loop(lambda: served.supervisor.set("tiny", state="ready"))
    text = '[changes.tiny]\nstatus = "disabled"\nreason = "r"\n'
    checked = http.post("/catalogue/check", json={"file": "models.d/own.toml", "text": text}).json()
    assert checked["diff"][3:] == ["+[changes.tiny]", '+status = "disabled"', '+reason = "r"']
    assert checked["plan"]["change"]["restarted"] == []
    deleted = http.post("/catalogue/check", json={"file": "models.d/own.toml", "text": None}).json()
    assert deleted["diff"] == []


def test_a_loaded_model_that_would_stop_is_named(served: FakeDaemon, http: httpx.Client) -> None:
    extra = '[models.extra]\nengine = "command"\ncommand = ["/bin/cat", "{socket}"]\n'
    digest = put(http, extra).json()["digest"]
    served.run_on_loop(lambda: served.supervisor.models.update(extra=served.supervisor.models["tiny"]))
    served.run_on_loop(lambda: served.supervisor.set("extra", id="extra", state="ready"))
    plan = http.post("/catalogue/check", json={"file": "models.d/own.toml", "text": ""}).json()["plan"]
    assert plan["stopped"] == ["extra"]
    assert plan["text"] == "removed extra; extra will finish its responses and stop"
    assert digest


def test_a_text_that_somebody_else_changed_is_a_conflict(http: httpx.Client, tmp_path: Path) -> None:
    digest = put(http, GOOD).json()["digest"]
    (tmp_path / "models.d" / "own.toml").write_text("# by hand\n")
    answer = put(http, GOOD + "\n", digest)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "edit_conflict")
    assert http.post("/catalogue/undo", json={}).status_code == 409
    assert (tmp_path / "models.d" / "own.toml").read_text() == "# by hand\n"


def test_if_the_reload_fails_the_old_text_is_back(
    served: FakeDaemon, http: httpx.Client, tmp_path: Path
) -> None:
    file = tmp_path / "models.d" / "own.toml"
    digest = put(http, GOOD).json()["digest"]
    served.supervisor.reload_problems = [f"{file}: changes.qwen: no"]
    answer = put(http, "# new\n", digest)
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["message"] == "changes.qwen: no"
    assert http.post("/catalogue/undo", json={}).status_code == 422
    assert file.read_text() == GOOD
    assert [edit["can_undo"] for edit in http.get("/catalogue").json()["edits"]] == [True]


@pytest.mark.parametrize(
    "name", ["models.toml", "models.d/..%2fx.toml", "models.d/.x.toml", "models.d/x.txt", "%2fetc%2fx.toml"]
)
def test_only_drop_ins_can_be_written(http: httpx.Client, name: str) -> None:
    answer = http.put(f"/catalogue/{name}", json={"text": "", "digest": None})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file")


@pytest.mark.parametrize(
    "body", ["", "[]", '{"text": 3}', '{"text": "\\ud800", "digest": null}', "x" * 9_000_000]
)
def test_a_body_that_is_no_edit_is_rejected(http: httpx.Client, body: str) -> None:
    assert http.put(OWN, content=body).status_code in (400, 413)


@pytest.mark.parametrize("name", ["models.d/none.toml", "..%2f..%2fetc%2fpasswd", "control.sock", "models.d"])
def test_only_files_of_the_catalogue_can_be_read(http: httpx.Client, name: str) -> None:
    answer = http.get(f"/catalogue/{name}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "catalogue_file_not_found")


def test_a_deletion_names_its_digest(http: httpx.Client) -> None:
    assert http.delete(OWN).status_code == 400


def test_starts_and_schema(http: httpx.Client) -> None:
    put(http, "")
    starts = http.get("/catalogue/starts").json()
    for start in starts:
        assert start["file"].startswith("models.d/")
    override = http.get("/catalogue/starts", params={"override": "coder"}).json()
    assert override["file"] == "models.d/qwen.toml"
    assert "[changes.qwen]\n" in override["text"]
    written = http.put(f"/catalogue/{override['file']}", json={"text": override["text"], "digest": None})
    assert written.status_code == 200
    assert http.get("/catalogue/schema").json()["properties"]["models"]


def test_what_an_edit_changed_can_be_read(http: httpx.Client) -> None:
    put(http, GOOD)
    assert http.get("/catalogue/edits/1").json()["diff"][-1] == "+pinned = true"
    assert http.get("/catalogue/edits/7").status_code == 404


def as_viewer(app: ASGIApp) -> ASGIApp:
    """The same for somebody who may only look."""

    async def viewed(scope: Scope, receive: Receive, send: Send) -> None:
        viewer = Viewer(Rights(operate=False, control=False))
        await app({**scope, "state": {**scope.get("state", {}), VIEWER: viewer}}, receive, send)

    return viewed


class Viewed(BaseRoute):
    """A route for somebody who may only look."""

    def __init__(self, route: BaseRoute) -> None:
        self._route = route

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return self._route.matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await as_viewer(self._route.handle)(scope, receive, send)


def test_who_may_only_look_sees_no_secrets(tmp_path: Path) -> None:
    folder = tmp_path / "models.d"
    folder.mkdir()
    (folder / "own.toml").write_text('[changes.qwen.environment]\nHF_TOKEN = "hf_s3cr3t"\n')

    def viewed(supervisor: FakeSupervisor) -> list[BaseRoute]:
        return [Viewed(route) for route in routes(supervisor)]

    with serve_fake_daemon(tmp_path, viewed) as served, connect(served) as http:
        put(http, "")
        found = http.get(OWN).json()
        assert (found["masked"], found["editable"]) == (True, False)
        assert "hf_s3cr3t" not in found["text"]
        assert http.get("/catalogue").json()["may_edit"] is False
        assert http.get("/catalogue/edits/1").status_code == 403


def doctor(tmp_path: Path, program: str) -> Iterator[Any]:
    command = (sys.executable, "-c", program)
    with (
        serve_fake_daemon(tmp_path, lambda each: doctor_routes(each, command)) as served,
        connect(served) as http,
    ):
        yield http


def test_the_doctor_is_asked_once_for_a_while(tmp_path: Path) -> None:
    count = tmp_path / "count"
    finding = {"check": "disk", "level": "error", "message": "full", "fix": "run `df` and `rm x`"}
    program = (
        "import json, sys, pathlib\n"
        "assert json.load(sys.stdin)['pid'] == 4711\n"
        f"file = pathlib.Path({str(count)!r})\n"
        "file.write_text(file.read_text() + 'x' if file.exists() else 'x')\n"
        f"print(json.dumps([dict(check='a', level='ok', message='fine'), {finding!r}]))"
    )
    for http in doctor(tmp_path, program):
        found = http.get("/doctor").json()["findings"]
        assert [each["level"] for each in found] == ["error", "ok"]
        assert found[0] == {
            "level": "error",
            "topic": "disk",
            "text": "full",
            "advice": "run `df` and `rm x`",
            "commands": ["df", "rm x"],
        }
        http.get("/doctor")
        assert count.read_text() == "x"
        http.get("/doctor", params={"fresh": 1})
        assert count.read_text() == "xx"


def test_a_doctor_that_fails_is_an_error_with_its_last_line(tmp_path: Path) -> None:
    for http in doctor(tmp_path, "import sys; sys.exit('it broke')"):
        answer = http.get("/doctor")
        assert answer.status_code == 500
        assert "it broke" in answer.json()["error"]["message"]
