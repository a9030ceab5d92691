"""A name that stands for several models: a real sparkd serves it by what is loaded, on disk and in working order."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine


def serve(sparkd: SparkdProcess, name: str) -> tuple[int, str | None, str]:
    """Send one chat request; return its status, the model that served it, and the model that the response names."""
    answer: httpx.Response = sparkd.chat(name)
    return answer.status_code, answer.headers.get("x-sparkd-served-by"), answer.json().get("model", "")


def test_the_loaded_model_serves_a_choice_and_another_one_is_not_loaded_for_it(build: Build) -> None:
    models = {"a": engine(), "b": engine()}
    sparkd = build(models, choices={"coding": ["a", "b"]})
    assert sparkd.chat("b").status_code == 200
    assert serve(sparkd, "coding") == (200, "b", "coding")
    assert serve(sparkd, "warm") == (200, "b", "warm")
    assert sparkd.model("a").state == "stopped"
    assert sparkd.chat("a").status_code == 200
    assert serve(sparkd, "coding") == (200, "a", "coding")
    assert sparkd.sparkctl("stop", "a").returncode == 0
    assert serve(sparkd, "coding") == (200, "b", "coding")


def test_a_model_that_cannot_be_loaded_is_passed_over(build: Build, folder: Path) -> None:
    program = engine()["command"]
    models = {
        "absent": engine(command=[*program, "--", "{source}"], source=f"{folder}/nothing"),
        "broken": engine("--exit-at-start", "1"),
        "kept": engine(memory="6 GiB", pinned=True),
        "large": engine(memory="6 GiB"),
        "good": engine(),
    }
    sparkd = build(models, choices={"any": ["absent", "broken", "large", "good"]})
    assert sparkd.chat("broken").status_code == 503
    assert sparkd.chat("kept").status_code == 200
    assert serve(sparkd, "any") == (200, "good", "any")
    assert sparkd.model("large").state == sparkd.model("absent").state == "stopped"
    assert sparkd.model("kept").state == "ready"


def test_an_unloaded_choice_loads_its_first_model_and_a_reload_changes_it(build: Build) -> None:
    sparkd = build({"a": engine(), "b": engine()}, choices={"coding": ["b", "a"]})
    assert serve(sparkd, "coding") == (200, "b", "coding")
    assert sparkd.sparkctl("stop", "b").returncode == 0
    text = sparkd.catalogue.read_text()
    at = text.index("coding")
    sparkd.catalogue.write_text(f'{text[:at]}coding = ["a"]\n{text[text.index("]", at) + 1 :]}')
    assert sparkd.sparkctl("reload").returncode == 0
    assert serve(sparkd, "coding") == (200, "a", "coding")
