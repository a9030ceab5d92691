"""A client may write a name in another way than the catalogue does."""

import pytest

from sparkd.catalog.patterns import overlap
from sparkd.errors import ModelDisabled, ModelNotFound
from tests.catalog.folder import Folder

TEXT = """
[models.gpt-oss-20b]
engine = "command"
command = ["x", "{source}", "{port}"]
source = "openai/gpt-oss-20b"
aliases = ["gpt-4o*", "org/Alias"]
[models.coder]
engine = "command"
command = ["x", "{source}", "{port}"]
source = "Qwen/Qwen3-Coder-30B"
aliases = ["claude-*", "claude-haiku-?"]
rewriting.presets."coder:think" = { reasoning_effort = "high" }
[models.other]
engine = "command"
command = ["x", "{source}", "{port}"]
source = "Qwen/Qwen3-Coder-30B"
aliases = ["claude-haiku-*", "gpt-4o-mini"]
[models.off]
engine = "command"
command = ["x", "{port}"]
status = "disabled"
reason = "it crashes"
"""


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gpt-oss-20b", ("gpt-oss-20b", "gpt-oss-20b")),
        (" GPT-OSS-20B\n", ("gpt-oss-20b", "gpt-oss-20b")),
        ("openai/gpt-oss-20b", ("gpt-oss-20b", "gpt-oss-20b")),
        ("OpenAI/GPT-OSS-20b", ("gpt-oss-20b", "gpt-oss-20b")),
        ("openrouter/openai/gpt-oss-20b", ("gpt-oss-20b", "gpt-oss-20b")),
        ("sparkd/gpt-oss-20b:latest", ("gpt-oss-20b", "gpt-oss-20b")),
        ("gpt-oss:20b", ("gpt-oss-20b", "gpt-oss-20b")),
        ("alias", ("gpt-oss-20b", "org/Alias")),
        ("ORG/alias", ("gpt-oss-20b", "org/Alias")),
        ("Coder:Think", ("coder", "coder:think")),
        ("local/coder:think", ("coder", "coder:think")),
        ("gpt-4o", ("gpt-oss-20b", "gpt-oss-20b")),
        ("gpt-4o-2024-08-06", ("gpt-oss-20b", "gpt-oss-20b")),
        ("gpt-4o-mini", ("other", "gpt-4o-mini")),
        ("openai/gpt-4o", ("gpt-oss-20b", "gpt-oss-20b")),
        ("Claude-Opus-9", ("coder", "coder")),
        ("anthropic/claude-opus-9", ("coder", "coder")),
        ("claude-haiku-4-5-20251001", ("other", "other")),
    ],
)
def test_a_name_is_found_however_it_is_written(name: str, found: tuple[str, str], folder: Folder) -> None:
    resolved = folder.read(TEXT).resolve(name)
    assert (resolved.model.id, resolved.name) == found
    assert folder.read(TEXT).canonical_name(name) == found[1]


@pytest.mark.parametrize(
    "name",
    [
        "Qwen/Qwen3-Coder-30B",  # the source of two models
        "Qwen3-Coder-30B",
        "claude",
        "gpt-4",
        "a/b/c/d/e/f/coder",
        "coder" + " " * 300,
        "/",
        "",
        "claude-*x" * 60,
    ],
)
def test_a_name_that_means_no_model_or_several_is_not_found(name: str, folder: Folder) -> None:
    with pytest.raises(ModelNotFound):
        folder.read(TEXT).resolve(name)
    assert folder.read(TEXT).canonical_name(name) == name


def test_a_disabled_model_is_reported_as_such_in_any_case(folder: Folder) -> None:
    with pytest.raises(ModelDisabled):
        folder.read(TEXT).resolve("OFF")


def test_a_model_that_is_enabled_is_found_beside_a_disabled_one_of_the_same_source(folder: Folder) -> None:
    text = TEXT.replace('aliases = ["claude-haiku-*", "gpt-4o-mini"]', 'status = "disabled"\nreason = "old"')
    assert folder.read(text).resolve("Qwen/Qwen3-Coder-30B").model.id == "coder"


def test_patterns_that_are_equally_specific_and_match_one_name_are_reported(folder: Folder) -> None:
    model = '[models.{}]\nengine = "command"\ncommand = ["x", "{{port}}"]\naliases = ["{}"]\n'
    problems = folder.problems(
        model.format("a", "gpt-*") + model.format("b", "GPT-*") + model.format("c", "*-gpt")
    )
    assert len(problems) == 3
    assert problems[0] == (
        'models.toml: models.b.aliases = "GPT-*": a name may match this and "gpt-*" of "a", and neither is more '
        "specific; change one of them"
    )
    assert (
        folder.problems(model.format("a", "gpt-*") + model.format("b", "gpt-4*") + model.format("c", "abc-*"))
        == []
    )


@pytest.mark.parametrize(
    ("one", "other", "is_overlap"),
    [
        ("a*", "*b", True),
        ("a*", "b*", False),
        ("a?c", "ab?", True),
        ("a?c", "a??c", False),
        ("*", "x/y", True),
        ("a*b*c", "a?*?c", True),
        ("ab", "a*b*c", False),
        ("*" * 50 + "a", "b" * 100, False),
    ],
)
def test_patterns_overlap_if_a_name_matches_both(one: str, other: str, is_overlap: bool) -> None:
    assert overlap(one, other) == overlap(other, one) == is_overlap


def test_a_default_model_takes_names_that_mean_none(folder: Folder) -> None:
    catalogue = folder.read(f'[server]\ndefault_model = "org/Alias"\n{TEXT}')
    for name in ("nonsense", "", None, "Qwen/Qwen3-Coder-30B"):
        found = catalogue.resolve_or_default(name)
        assert found is not None
        assert (found.model.id, found.name) == ("gpt-oss-20b", "org/Alias")
    with pytest.raises(ModelDisabled):
        catalogue.resolve_or_default("off")
    assert folder.read(TEXT).resolve_or_default("") is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("codr", 'models.toml: server.default_model = "codr": there is no such model; did you mean "coder"?'),
        ("off", 'models.toml: server.default_model = "off": the model "off" is disabled'),
        ("claude-*", 'models.toml: server.default_model = "claude-*": there is no such model'),
    ],
)
def test_a_default_model_that_cannot_serve_is_reported(name: str, problem: str, folder: Folder) -> None:
    assert folder.problems(f'[server]\ndefault_model = "{name}"\n{TEXT}') == [problem]
