"""`sparkctl reload` and SIGHUP reload the catalogue while everything runs."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import tomli_w

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until

SETTINGS = {
    "server": {"listen": "127.0.0.1:0"},
    "memory": {"total": "10 GiB", "reserve": 0, "learn": False},
}


def write(sparkd: SparkdProcess, models: dict[str, Any], **settings: Any) -> None:
    sparkd.catalogue.write_text(tomli_w.dumps({**SETTINGS, **settings, "models": models}))


def text(sparkd: SparkdProcess, model: str) -> str:
    answer = sparkd.chat(model)
    assert answer.status_code == 200, answer.text
    content: str = answer.json()["choices"][0]["message"]["content"]
    return content.rstrip()


def test_added_models_are_served_and_unchanged_ones_are_not_affected(build: Build) -> None:
    sparkd = build({"a": engine()})
    text(sparkd, "a")
    pid = sparkd.model("a").pid
    write(sparkd, {"a": engine(aliases=["other"], idle_timeout=770.0), "b": engine()})
    done = sparkd.sparkctl("reload")
    assert done.stdout == "Catalogue reloaded: added b; changed a.\n"
    assert done.returncode == 0
    assert text(sparkd, "other") == text(sparkd, "b") == "one two three"
    assert sparkd.model("a").pid == pid
    assert (sparkd.model("a").idle_seconds_left or 0) > 500
    assert sparkd.sparkctl("reload").stdout == "Catalogue reloaded: nothing changed.\n"


def test_an_invalid_catalogue_changes_nothing_and_every_problem_is_reported(build: Build) -> None:
    sparkd = build({"a": engine()})
    text(sparkd, "a")
    pid = sparkd.model("a").pid
    write(sparkd, {"a": {**engine(), "idle_timeuot": 5.0}, "b": {"engine": "vlm"}})
    done = sparkd.sparkctl("reload")
    assert done.returncode == 1
    assert 'models.a.idle_timeuot = 5.0: unknown key; did you mean "idle_timeout"?' in done.stderr
    assert "sparkctl: " in (line := done.stderr.splitlines()[1]), done.stderr
    assert "models.b.engine" in line
    assert done.stderr.endswith(
        "sparkctl: sparkd keeps the catalogue that it has; fix these problems and reload again\n"
    )
    assert "Catalogue not reloaded: " in sparkd.log()
    assert text(sparkd, "a") == "one two three"
    assert sparkd.model("a").pid == pid
    sparkd.catalogue.write_bytes(b"[models.a\xff\x00")
    garbage = sparkd.sparkctl("--socket", str(sparkd.folder / "run" / "control.sock"), "reload")
    assert garbage.returncode == 1
    assert "is not UTF-8" in garbage.stderr
    assert sparkd.model("a").pid == pid


def test_listening_address_and_folders_cannot_change_while_it_runs(build: Build) -> None:
    sparkd = build({"a": engine()})
    write(sparkd, {"a": engine()}, server={"listen": "127.0.0.1:1"}, paths={"models": "elsewhere"})
    done = sparkd.sparkctl("reload")
    assert done.returncode == 1
    assert "server.listen: cannot change while sparkd runs" in done.stderr
    assert "paths.models: cannot change while sparkd runs" in done.stderr
    assert text(sparkd, "a") == "one two three"


def test_a_model_with_changed_options_finishes_its_response_and_is_restarted(
    build: Build, folder: Path
) -> None:
    gate = folder / "gate"
    sparkd = build({"a": engine("--chunk-gate", str(gate))})
    with sparkd.streaming("a", "one two three four five six") as lines:
        next(lines)
        write(sparkd, {"a": engine()})
        done = sparkd.sparkctl("reload")
        assert (
            done.stdout == "Catalogue reloaded: changed and stopping, to restart with the next request: a.\n"
        )
        assert sparkd.model("a").state == "draining"
        gate.touch()
        assert list(lines)[-1] == "data: [DONE]"
    assert text(sparkd, "a") == "one two three"
    assert 'Stopping model "a": its definition changed' in sparkd.log()
    assert 'Starting model "a" (run 2)' in sparkd.log()


def test_a_removed_model_finishes_its_response_and_is_shown_until_it_has_stopped(
    build: Build, folder: Path
) -> None:
    gate = folder / "gate"
    sparkd = build({"a": engine("--chunk-gate", str(gate)), "b": engine()})
    with sparkd.streaming("a", "one two three four five six") as lines:
        next(lines)
        write(sparkd, {"b": engine()})
        done = sparkd.sparkctl("reload", "--json")
        assert json.loads(done.stdout)["removed"] == ["a"]
        assert sparkd.model("a").state == "draining"
        refused = sparkd.chat("a")
        assert refused.status_code == 404
        gate.touch()
        assert list(lines)[-1] == "data: [DONE]"
    wait_until("it is gone", lambda: sparkd.status().model("a") is None)
    assert text(sparkd, "b") == "one two three"
    assert sparkd.sparkctl("status", "a").returncode == 4


def test_the_keys_are_reloaded_too(build: Build) -> None:
    sparkd = build({"a": engine()})
    (sparkd.folder / "keys").write_text("one\n")
    write(sparkd, {"a": engine()}, server={"listen": "127.0.0.1:0", "api_key_file": "keys"})
    assert sparkd.sparkctl("reload").stdout == "Catalogue reloaded: settings changed.\n"
    assert sparkd.chat("a").status_code == 401
    (sparkd.folder / "keys").write_text("")
    assert sparkd.sparkctl("reload").returncode == 1
    assert sparkd.chat("a").status_code == 401, "an empty file accepts no client"


def test_every_sighup_reloads_the_catalogue(build: Build) -> None:
    sparkd = build({"a": engine()})
    write(sparkd, {"a": engine(), "b": engine()})
    for _ in range(5):
        sparkd.process.send_signal(signal.SIGHUP)
    wait_until("b is there", lambda: sparkd.status().model("b"))
    assert text(sparkd, "b") == "one two three"
    assert "added b" in sparkd.log()


def test_a_quarantined_model_is_tried_again_once_its_definition_is_fixed(build: Build) -> None:
    sparkd = build({"a": engine("--exit-at-start", "3")}, failures={"max_failures": 1})
    assert sparkd.chat("a").status_code == 503
    assert sparkd.model("a").quarantined
    write(sparkd, {"a": engine()}, failures={"max_failures": 1})
    assert sparkd.sparkctl("reload").returncode == 0
    assert text(sparkd, "a") == "one two three"
