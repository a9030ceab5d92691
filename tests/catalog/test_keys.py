"""`[keys.<name>]`: read, merged and checked."""

from __future__ import annotations

import pytest

from sparkd.catalog.key_policy import KeyPolicy
from tests.catalog.folder import VLLM, Folder

MODEL = f'[models."qwen3-0.6b"]\n{VLLM}aliases = ["qwen", "claude-*"]\n'


def test_a_key_has_what_its_table_says(folder: Folder) -> None:
    keys = folder.read('[keys."line 4"]\nrole = "operate"\nrate = 30\n[keys.ada]\n').keys
    assert keys == {"line 4": KeyPolicy(role="operate", rate=30), "ada": KeyPolicy()}


def test_a_drop_in_changes_single_keys(folder: Folder) -> None:
    folder.write("models.d/mine.toml", '[keys.ada]\nmodels = ["qwen*"]\n[keys.bob]\n')
    keys = folder.read(f'{MODEL}[keys.ada]\nmax_in_flight = 2\nmodels = ["qwen"]\n').keys
    assert keys == {"ada": KeyPolicy(max_in_flight=2, models=("qwen*",)), "bob": KeyPolicy()}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '[keys.a]\nrole = "operator"',
            'keys.a.role = "operator": expected "ask" or "operate"; did you mean "operate"?',
        ),
        ("[keys.a]\nrate = 0", "keys.a.rate = 0: expected a whole number from 1 to 2147483647"),
        ("[keys.a]\nrates = 1", 'keys.a.rates = 1: unknown key; did you mean "rate"?'),
        ("keys.a = 1", "keys.a = 1: expected a table"),
        (
            '[keys.a]\nmodels = ["qwne"]',
            'keys.a.models = "qwne": there is no such model; did you mean "qwen"?',
        ),
        ('[keys.a]\nmodels = ["gpt*"]', 'keys.a.models = "gpt*": there is no such model'),
    ],
)
def test_every_mistake_is_reported(folder: Folder, text: str, problem: str) -> None:
    problems = folder.problems(f"{text}\n{MODEL}")
    assert len(problems) == 1
    assert problem in problems[0]


@pytest.mark.parametrize("name", ["qwen3-0.6b", "qwen", "claude-*", "qwen*"])
def test_ids_aliases_and_patterns_mean_a_model(folder: Folder, name: str) -> None:
    catalogue = folder.read(f'{MODEL}[keys.a]\nmodels = ["{name}"]\n')
    assert catalogue.select_models(catalogue.keys["a"].models) == {"qwen3-0.6b"}
