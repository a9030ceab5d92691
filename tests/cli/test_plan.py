"""`sparkctl plan` against a served stand-in, and against the real thing."""

from __future__ import annotations

import json

from sparkd.catalog.reading import read_catalogue
from sparkd.cli.plan import render_plan
from sparkd.scheduling.plan import Plan
from tests.cli.running import sparkctl
from tests.control.fake_supervisor import FakeDaemon


def test_the_plan_is_told_in_sentences(served: FakeDaemon) -> None:
    result = sparkctl("plan", "coder", "--socket", served.socket)
    assert result.code == 0
    assert result.out.splitlines() == [
        "qwen would be loaded; ready in about 14 s",
        "stopped for it: tiny",
        "memory: 20.0 GiB (declared)",
        "its start takes about 12 s",
    ]


def test_a_program_gets_the_document(served: FakeDaemon) -> None:
    output = json.loads(sparkctl("plan", "qwen", "--json", "--socket", served.socket).out)
    assert (output["model"], output["verdict"], output["evicts"]) == ("qwen", "launch", ["tiny"])


def test_a_model_that_is_not_there_is_no_plan(served: FakeDaemon) -> None:
    assert sparkctl("plan", "qwem", "--socket", served.socket).code == 4


def test_every_verdict_has_its_words() -> None:
    def describe(**fields: object) -> str:
        return render_plan(Plan(**{"model": "a", "footprint": 0, "basis": "guessed", **fields}))[0]  # type: ignore[arg-type]

    assert describe(verdict="ready") == "a is ready"
    assert describe(verdict="starting", seconds=3.0) == "a is loading; ready in about 3.0 s"
    assert describe(verdict="launch") == "a would be loaded"
    assert describe(verdict="refused", reason="It is too big") == "a would be rejected: It is too big"
    assert "for an unknown time" in describe(verdict="unknown", reason="many wait")


def test_what_a_model_cannot_start_without_is_said_first(served: FakeDaemon) -> None:
    """The scheduler has no disk: a plan that left it at that would promise an answer in seconds."""
    path = served.supervisor.catalogue.path
    path.write_text(
        path.read_text()
        + '[models.far]\nengine = "command"\ncommand = ["/bin/cat", "{source}", "{socket}"]\n'
        'source = "org/far"\n'
    )
    served.supervisor.catalogue = read_catalogue(path)
    result = sparkctl("plan", "far", "--socket", served.socket)
    assert result.code == 5
    assert result.out.splitlines()[:2] == [
        'Model "far" is not on disk. Run `sparkctl pull far` to download it.',
        "then far would be loaded; ready in about 14 s",
    ]
