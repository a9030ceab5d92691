"""`[models.<id>.rewriting]`: how the requests of a model are rewritten."""

import pytest

from sparkd.catalog.rewriting import Rewriting
from tests.catalog.folder import VLLM, Folder

MODEL = f"[models.m]\n{VLLM}"
TABLE = f"{MODEL}[models.m.rewriting]\n"


def test_a_model_without_rewriting_keys_only_has_its_tokens_capped(folder: Folder) -> None:
    rewriting = folder.read(MODEL).find("m").rewriting
    assert rewriting == Rewriting()
    assert rewriting.cap_tokens


def test_every_key_reaches_the_model(folder: Folder) -> None:
    text = 'alternate_roles = true\ntools = "require"\nmargin = 4096\nstrip = ["seed"]\nset.top_k = 20\n'
    assert folder.read(TABLE + text).find("m").rewriting == Rewriting(
        alternate_roles=True, tools="require", margin=4096, strip=("seed",), set={"top_k": 20}
    )


def test_request_fields_may_be_tables_and_lists(folder: Folder) -> None:
    text = "[models.m.rewriting.default]\nstop = ['a', 'b']\nchat_template_kwargs = { a = { b = [1, 2.5, true] } }\n"
    assert folder.read(TABLE + text).find("m").rewriting.default == {
        "stop": ["a", "b"],
        "chat_template_kwargs": {"a": {"b": [1, 2.5, True]}},
    }


def test_a_preset_is_an_alias(folder: Folder) -> None:
    catalogue = folder.read(f'{TABLE}presets."m:high" = {{ reasoning_effort = "high" }}')
    assert catalogue.find("m:high").id == "m"


def test_a_change_is_merged_into_the_table_key_by_key(folder: Folder) -> None:
    folder.write(
        "models.d/mine.toml", '[changes.m.rewriting]\nset.b = 3\npresets."m:x".b = 3\ntools = "strip"\n'
    )
    text = 'disable_thinking = true\nset = { a = 1, b = 2 }\npresets."m:x".a = 1\n'
    assert folder.read(TABLE + text).find("m").rewriting == Rewriting(
        disable_thinking=True, tools="strip", set={"a": 1, "b": 3}, presets={"m:x": {"a": 1, "b": 3}}
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tool_hint = true", '.tool_hint = true: unknown key; did you mean "tool_hints"?'),
        (
            'tools = "stripp"',
            '.tools = "stripp": expected "auto", "pass", "require" or "strip"; did you mean "strip"?',
        ),
        ("margin = -1", ".margin = -1: expected a whole number from 0 to 2147483647"),
        ("set = 3", ".set = 3: expected a table of any JSON values"),
        ("presets.x = 3", ".presets.x = 3: expected a table of any JSON values"),
        (
            "set.day = 2026-01-01",
            ".set.day = 2026-01-01: expected a JSON value; JSON has no dates, so put it in quotes",
        ),
        ("set.n = nan", ".set.n = nan: expected a finite number"),
        ("set.model = 'x'", '.set.model = "x": sparkd sets the model itself'),
        ("presets.x.model = 'x'", '.presets.x.model = "x": sparkd sets the model itself'),
        ("strip = ['model']", '.strip = "model": sparkd sets the model itself'),
        ("presets.chat.a = 1", '.presets = "chat": is the beginning of an API path (/v1/chat)'),
        ("presets.m.a = 1", '.presets = "m": is the id of a model in models.toml'),
    ],
)
def test_what_is_wrong_in_the_table_is_reported_with_its_key(text: str, problem: str, folder: Folder) -> None:
    (line,) = folder.problems(TABLE + text)
    assert line == f"models.toml: models.m.rewriting{problem}"


def test_a_key_of_the_table_beside_it_is_sent_home(folder: Folder) -> None:
    (problem,) = folder.problems(f"{MODEL}alternate_roles = true\n")
    assert problem.endswith("unknown key; it belongs in [models.<id>.rewriting]")


def test_the_table_is_a_table(folder: Folder) -> None:
    assert folder.problems(f"{MODEL}rewriting = true\n") == [
        "models.toml: models.m.rewriting = true: expected a table"
    ]


def test_two_models_cannot_share_a_preset(folder: Folder) -> None:
    other = f"[models.n]\n{VLLM}[models.n.rewriting]\npresets.x.a = 1\n"
    (problem,) = folder.problems(f"{TABLE}presets.x.a = 1\n{other}")
    assert problem.endswith('models.n.rewriting.presets = "x": is an alias of "m" in models.toml')
