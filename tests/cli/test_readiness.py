"""What is said of files and runtimes: what somebody who begins does first, then only what is amiss."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reference.guide import CATALOGUE
from sparkd.cli.doctor_facts import Needs, Readiness
from sparkd.cli.readiness import judged, look
from sparkd.hub.findings import OnDisk, Presence


def needs(model: str, state: Presence, runtime: str = "vllm", *, encodings: Presence | None = None) -> Needs:
    """A model with a source in that state, and perhaps encodings in another."""
    parts = [OnDisk(source=f"org/{model}", state=state, missing=("a",) if state == "incomplete" else ())]
    if encodings:
        parts.append(OnDisk(source="encodings", state=encodings, missing=("o200k_base",)))
    return Needs(model, runtime, tuple(parts))


def told(*models: Needs, **runtimes: bool) -> list[tuple[str, str, str]]:
    ready = Readiness(models, runtimes, first=models[0])
    return [(one.level, one.found, one.mend or "") for one in judged(ready)]


def test_who_begins_is_told_in_one_line_what_to_do_first() -> None:
    assert told(needs("a", "absent"), needs("b", "absent", "other"), vllm=False, other=False) == [
        (
            "warning",
            "none of 2 models is on disk, and no runtime is built",
            "to begin: `sparkctl runtime build vllm`, then `sparkctl pull a`",
        )
    ]


def test_in_an_installation_the_commands_are_roots() -> None:
    ready = Readiness((needs("a", "absent"),), {"vllm": False}, first=needs("a", "absent"), sudo=True)
    [only] = judged(ready)
    assert only.found == "the only model is not on disk, and no runtime is built"
    assert only.mend == "to begin: `sudo sparkctl runtime build vllm`, then `sudo sparkctl pull a`"


def test_once_the_runtime_is_built_the_first_step_is_a_model() -> None:
    assert told(needs("a", "absent"), needs("b", "absent", "other"), vllm=True, other=False) == [
        ("ok", "vllm is built", ""),
        ("warning", "none of 2 models is on disk", "to begin: `sparkctl pull a`"),
    ]


def test_models_that_nobody_fetched_and_runtimes_that_no_model_here_needs_are_not_amiss() -> None:
    assert told(needs("a", "whole"), needs("b", "absent", "other"), vllm=True, other=False) == [
        ("ok", "vllm is built", ""),
        ("ok", "1 of 2 is on disk", ""),
    ]


def test_a_model_that_is_here_without_its_runtime_is_a_warning() -> None:
    assert told(needs("a", "whole"), vllm=False)[0] == (
        "warning",
        "vllm is not built, and a cannot start without it",
        "`sparkctl runtime build vllm`",
    )


def test_a_model_that_is_here_in_part_is_a_warning_and_one_with_its_encodings_alone_is_not_here() -> None:
    assert told(needs("a", "incomplete"), needs("b", "absent", encodings="whole"), vllm=True) == [
        ("ok", "vllm is built", ""),
        ("warning", "a is only partly on disk: 1 file missing of org/a", "`sparkctl pull a`"),
    ]
    assert "1 file missing of encodings" in told(needs("a", "whole", encodings="absent"), vllm=True)[1][1]


@pytest.mark.parametrize(
    ("gpu", "runtime", "model"), [(True, "vllm", "gpt-oss-20b"), (False, "cpu", "smollm2-")]
)
def test_the_model_to_begin_with_is_the_catalogues_best_for_the_machine(
    gpu: bool, runtime: str, model: str
) -> None:
    first = look(read_catalogue(CATALOGUE), gpu=gpu).first
    assert first is not None
    assert first.model.startswith(model)
    assert first.runtime == runtime


def test_a_catalogue_without_a_model_that_may_run_says_so(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text("")
    [only] = judged(look(read_catalogue(tmp_path / "models.toml"), gpu=False))
    assert only.found == "there is no model that may run"
