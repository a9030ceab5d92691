"""`[keys.<name>]` and `[clients.<name>]`: merged over drop-ins, and every mistake reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkd.catalog.client_rules import ClientRule
from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.reading import read_catalogue
from tests.catalog.folder import Folder
from tests.models import CLONE

MODEL = """[models.big]
runtime = "cpu"
source = "org/big"
aliases = ["gpt-4o"]
"""


def test_drop_ins_add_to_the_tables(folder: Folder) -> None:
    folder.write("models.toml", MODEL + '[keys.a]\nrole = "operate"\nrate = 10\n')
    folder.write("models.d/10.toml", '[keys.a]\nrate = 20\n[keys."line 1"]\nmodels = ["big", "gpt-*"]\n')
    folder.write("models.d/20.toml", '[clients.voice]\nheaders.user-agent = "HA/*"\npriority = "high"\n')
    read = read_catalogue(folder.path / "models.toml")
    assert read.keys == {
        "a": KeyRules(name="a", role="operate", rate=20),
        "line 1": KeyRules(name="line 1", models=("big", "gpt-*")),
    }
    assert read.clients == (ClientRule(name="voice", headers={"user-agent": "HA/*"}, priority="high"),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '[keys.a]\nrole = "operat"',
            'keys.a.role = "operat": expected "ask", "operate" or "view"; did you mean "operate"?',
        ),
        ("[keys.a]\nrates = 1", 'keys.a.rates = 1: unknown key; did you mean "rate"?'),
        ("[keys.a]\nrate = 0", "keys.a.rate = 0: expected a whole number from 1 to 2147483647"),
        (
            '[keys.a]\nmodels = ["bigg"]',
            'keys.a.models = "bigg": no model has this name; did you mean "big"?',
        ),
        ("[keys]\na = 1", "keys.a = 1: expected a table"),
        (
            "[clients.c]\nbackground = true",
            "clients.c: needs a condition: keys, headers, paths, models, shape or prompts",
        ),
        (
            '[clients.c]\nshape = "probes"',
            'clients.c.shape = "probes": expected "no-tools" or "probe"; did you mean "probe"?',
        ),
        (
            '[clients.c]\npaths = ["v1"]',
            'clients.c.paths = "v1": expected a path that begins with / or a pattern, such as "/v1/audio/*"',
        ),
        (
            '[clients.c]\nprompts = [" "]',
            'clients.c.prompts = " ": expected how a prompt begins, at least one character',
        ),
        (
            '[clients.c]\nheaders."a b" = "x"',
            'clients.c.headers."a b" = "x": expected the name of a header, such as "user-agent"',
        ),
        ("[key.a]\nrate = 1", 'key = { a = { rate = 1 } }: unknown table; did you mean "keys"?'),
        ("max_in_flight = 1", "max_in_flight = 1: unknown key; it belongs in [keys.<name>]"),
    ],
)
def test_mistakes_are_reported(text: str, problem: str, folder: Folder) -> None:
    text = f"{text}\n{MODEL}" if not text.startswith("[") else f"{MODEL}\n{text}\n"
    assert folder.problems(text) == [f"models.toml: {problem}"]


def test_the_key_of_the_installation_may_operate() -> None:
    shipped = read_catalogue(Path(CLONE) / "models.toml")
    assert shipped.keys == {"owner": KeyRules(name="owner", role="operate")}
    assert all(rule.background for rule in shipped.clients if rule.shape is not None)
