"""What docs/adding-models.md says of `sparkctl add` is so."""

from __future__ import annotations

import re
from pathlib import Path

from sparkd.catalog.messages import format_value
from sparkd.catalog.reading import read_with_overrides
from sparkd.catalog.reading.documents import DROP_IN_FOLDER
from sparkd.guessing import Weights
from tests.cli.running import sparkctl
from tests.guessing.configs import QWEN3, SPARK, THINKING_HERMES, guess

CLONE = Path(__file__).parents[2]
GUIDE = (CLONE / "docs" / "adding-models.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def test_its_examples_by_hand_are_right_beside_the_catalogue_that_comes_with_sparkd() -> None:
    catalogue = CLONE / "models.toml"
    for block in blocks("toml"):
        read = read_with_overrides(catalogue, {CLONE / DROP_IN_FOLDER / "mine.toml": block.encode()})
        assert set(re.findall(r'\[(?:models|changes)\.\"?([^"\]]+)', block)) <= set(read.models)


def test_its_example_by_command_is_what_is_guessed() -> None:
    weights = Weights(16_381_470_720, "5 .safetensors files")
    entry = guess("Qwen3-8B", QWEN3, THINKING_HERMES, SPARK, weights=weights)
    (example,) = blocks("console")
    rows = {tuple(re.split(r" {2,}", line.strip())) for line in example.splitlines()}
    output = {(one.key, format_value(one.value), one.reason) for one in entry.guesses}
    table = {row for row in rows if len(row) == 3 and row[0] not in ("KEY", "source")}
    assert len(table) >= 8
    assert table <= output
    assert {" ".join(line.split()) for line in entry.arithmetic} <= {" ".join(row) for row in rows}


def test_it_has_every_option_of_the_command() -> None:
    offered = set(re.findall(r"--[a-z][a-z-]+", sparkctl("add", "--help").out))
    everywhere = {"--help", "--socket", "--catalogue"}
    assert (
        offered - everywhere
        == set(re.findall(r"--[a-z][a-z-]+", GUIDE.split("## What each")[0])) - everywhere
    )
