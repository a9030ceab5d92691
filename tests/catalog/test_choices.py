"""Names that stand for several models, as a catalogue defines them."""

from __future__ import annotations

import pytest

from sparkd.catalog import Catalogue
from sparkd.errors import ModelNotFound
from tests.catalog.folder import VLLM, Folder

MODELS = "".join(f"[models.{name}]\n{VLLM}" for name in ("big", "quick"))
PRESETS = f'[models.third]\n{VLLM}aliases = ["org/third"]\nrewriting.presets."third:deep" = {{ top_k = 3 }}\n'
OFF = f'[models.off]\n{VLLM}status = "disabled"\nreason = "it crashes"\n'


def candidates(catalogue: Catalogue, name: str) -> list[tuple[str, str]]:
    """The models of a choice with the names by which it names them."""
    choice = catalogue.resolve(name).choice
    assert choice is not None
    return [(found.model.id, found.name) for found in choice.candidates]


def test_a_choice_has_its_models_in_the_owners_order_without_disabled_ones(folder: Folder) -> None:
    catalogue = folder.read(
        f'[choices]\ncoding = ["off", "quick", "third:deep", "org/third"]\n{MODELS}{PRESETS}{OFF}'
    )
    assert candidates(catalogue, "coding") == [
        ("quick", "quick"),
        ("third", "third:deep"),
        ("third", "org/third"),
    ]
    assert [model.id for model in catalogue.choices["coding"].models] == ["quick", "third"]
    assert catalogue.resolve("coding").model.id == "quick"


@pytest.mark.parametrize("name", ["Coding", " coding", "coding:latest", "sparkd/coding"])
def test_a_choice_is_found_however_a_client_writes_it(name: str, folder: Folder) -> None:
    catalogue = folder.read(f'[choices]\ncoding = ["quick"]\n{MODELS}')
    assert catalogue.resolve(name).name == "coding"
    assert catalogue.canonical_name(name) == "coding"


def test_a_later_file_replaces_a_choice_and_adds_others(folder: Folder) -> None:
    folder.write("models.d/mine.toml", '[choices]\ncoding = ["big"]\nchatting = ["quick"]\n')
    catalogue = folder.read(f'[choices]\ncoding = ["quick", "big"]\nfast = ["quick"]\n{MODELS}')
    assert candidates(catalogue, "coding") == [("big", "big")]
    assert list(catalogue.choices) == ["coding", "fast", "chatting", "warm"]


def test_commands_for_one_model_do_not_take_a_choice(folder: Folder) -> None:
    catalogue = folder.read(f'[choices]\ncoding = ["quick", "big"]\n{MODELS}')
    with pytest.raises(
        ModelNotFound, match='"coding" stands for several models; name one of them: "quick", "big"'
    ):
        catalogue.find("coding")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('coding = "quick"', 'choices.coding = "quick": expected a list of strings'),
        ("coding = []", "choices.coding = []: expected at least one model"),
        ('coding = ["quik"]', 'choices.coding = "quik": there is no such model; did you mean "quick"?'),
        ('coding = ["off"]', 'choices.coding = ["off"]: each of these models is disabled'),
        ('coding = ["quick", "warm"]', 'choices.coding = "warm": is a choice; expected a model'),
        ('coding = ["qu*"]', 'choices.coding = "qu*": expected a model, not a pattern'),
        ('big = ["quick"]', 'choices.big: is a name of the model "big"; choose another name'),
        (
            'chat = ["quick"]',
            "choices.chat: is the beginning of an API path (/v1/chat); choose another name",
        ),
    ],
)
def test_a_choice_that_cannot_work_is_reported(line: str, problem: str, folder: Folder) -> None:
    assert folder.problems(f"[choices]\n{line}\n{MODELS}{OFF}") == [f"models.toml: {problem}"]


def test_a_choice_must_have_a_name_that_can_be_part_of_a_path(folder: Folder) -> None:
    (problem,) = folder.problems(f'[choices]\n"a/b" = ["quick"]\n{MODELS}')
    assert problem.startswith('models.toml: choices."a/b": expected letters, digits')


def test_the_default_model_may_be_a_choice(folder: Folder) -> None:
    choices = f'[choices]\ncoding = ["quick"]\n{MODELS}'
    for name in ("coding", "warm"):
        default = folder.read(f'[server]\ndefault_model = "{name}"\n{choices}').default
        assert default is not None
        assert (default.name, default.choice is not None) == (name, True)
    assert folder.problems(f'[server]\ndefault_model = "codin"\n{choices}') == [
        'models.toml: server.default_model = "codin": there is no such model; did you mean "coding"?'
    ]


def test_warm_has_the_default_model_first_and_the_utility_model_last(folder: Folder) -> None:
    models = (
        f'[models.titles]\n{VLLM}lifecycle = "utility"\n{MODELS}{OFF}[models.rare]\n{VLLM}status = "manual"\n'
    )
    assert [id_ for id_, _ in candidates(folder.read(models), "warm")] == ["big", "quick", "titles"]
    catalogue = folder.read(f'[server]\ndefault_model = "quick"\n{models}')
    assert [id_ for id_, _ in candidates(catalogue, "warm")] == ["quick", "big", "titles"]


def test_the_owner_may_define_warm(folder: Folder) -> None:
    catalogue = folder.read(f'[choices]\nwarm = ["quick"]\n{MODELS}')
    assert candidates(catalogue, "warm") == [("quick", "quick")]
    named = folder.read(f'{MODELS}aliases = ["warm"]\n')
    assert (named.resolve("warm").model.id, named.resolve("warm").choice) == ("quick", None)


def test_a_catalogue_without_models_has_no_choice(folder: Folder) -> None:
    assert dict(folder.read(OFF).choices) == {}
