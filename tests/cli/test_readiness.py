"""What is said of files and runtimes: what somebody who begins does first, then only what is amiss."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reference.guide import CATALOGUE
from sparkd.cli.doctor.facts import ModelNeeds, Readiness
from sparkd.cli.doctor.readiness import assess_readiness, inspect_readiness
from sparkd.hub.files import FileState, SourceOnDisk


def needs(
    model: str, state: FileState, runtime: str = "vllm", *, encodings: FileState | None = None
) -> ModelNeeds:
    """A model with a source in that state, and perhaps encodings in another."""
    parts = [
        SourceOnDisk(source=f"org/{model}", state=state, missing=("a",) if state == "incomplete" else ())
    ]
    if encodings:
        parts.append(SourceOnDisk(source="encodings", state=encodings, missing=("o200k_base",)))
    return ModelNeeds(model, runtime, tuple(parts))


def assess(*models: ModelNeeds, **runtimes: bool) -> list[tuple[str, str, str]]:
    ready = Readiness(models, runtimes, suggested=models[0])
    return [(one.level, one.message, one.fix or "") for one in assess_readiness(ready)]


def test_who_begins_is_told_in_one_line_what_to_do_first() -> None:
    assert assess(needs("a", "absent"), needs("b", "absent", "other"), vllm=False, other=False) == [
        (
            "warning",
            "none of 2 models is on disk, and no runtime is built",
            "to begin: `sparkctl runtime build vllm`, then `sparkctl pull a`",
        )
    ]


def test_in_an_installation_the_commands_are_roots() -> None:
    ready = Readiness(
        (needs("a", "absent"),), {"vllm": False}, suggested=needs("a", "absent"), needs_sudo=True
    )
    [only] = assess_readiness(ready)
    assert only.message == "the only model is not on disk, and no runtime is built"
    assert only.fix == "to begin: `sudo sparkctl runtime build vllm`, then `sudo sparkctl pull a`"


def test_once_the_runtime_is_built_the_first_step_is_a_model() -> None:
    assert assess(needs("a", "absent"), needs("b", "absent", "other"), vllm=True, other=False) == [
        ("ok", "vllm is built", ""),
        ("warning", "none of 2 models is on disk", "to begin: `sparkctl pull a`"),
    ]


def test_models_that_nobody_fetched_and_runtimes_that_no_model_here_needs_are_not_amiss() -> None:
    assert assess(needs("a", "complete"), needs("b", "absent", "other"), vllm=True, other=False) == [
        ("ok", "vllm is built", ""),
        ("ok", "1 of 2 is on disk", ""),
    ]


def test_a_model_that_is_here_without_its_runtime_is_a_warning() -> None:
    assert assess(needs("a", "complete"), vllm=False)[0] == (
        "warning",
        "vllm is not built, so a cannot start",
        "run `sparkctl runtime build vllm`",
    )


def test_a_model_that_is_here_in_part_is_a_warning_and_one_with_its_encodings_alone_is_not_here() -> None:
    assert assess(needs("a", "incomplete"), needs("b", "absent", encodings="complete"), vllm=True) == [
        ("ok", "vllm is built", ""),
        ("warning", "a is only partly on disk: 1 file missing of org/a", "run `sparkctl pull a`"),
    ]
    assert (
        "1 file missing of encodings" in assess(needs("a", "complete", encodings="absent"), vllm=True)[1][1]
    )


@pytest.mark.parametrize(
    ("gpu", "runtime", "model"), [(True, "vllm", "gpt-oss-20b"), (False, "cpu", "smollm2-")]
)
def test_the_model_to_begin_with_is_the_catalogues_best_for_the_machine(
    gpu: bool, runtime: str, model: str
) -> None:
    first = inspect_readiness(read_catalogue(CATALOGUE), gpu=gpu).suggested
    assert first is not None
    assert first.model.startswith(model)
    assert first.runtime == runtime


def test_a_catalogue_without_a_model_that_may_run_says_so(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text("")
    [only] = assess_readiness(inspect_readiness(read_catalogue(tmp_path / "models.toml"), gpu=False))
    assert only.message == "no model is enabled"
