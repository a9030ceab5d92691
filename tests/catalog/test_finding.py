"""A name finds its model, or the answer says which one was probably meant."""

import pytest

from sparkd.catalog.nearest import COMPARED, find_nearest
from sparkd.errors import ModelDisabled, ModelNotFound
from tests.catalog.folder import VLLM, Folder

TEXT = f"""
[models.smollm2]
{VLLM}
aliases = ["small", "HuggingFaceTB/SmolLM2"]
[models.gpt-oss-20b]
{VLLM}
status = "disabled"
reason = "crashes on this driver"
aliases = ["oss"]
"""


@pytest.mark.parametrize("name", ["smollm2", "small", "HuggingFaceTB/SmolLM2"])
def test_a_model_is_found_by_its_id_and_by_its_aliases(name: str, folder: Folder) -> None:
    assert folder.read(TEXT).find(name).id == "smollm2"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smolm2", 'There is no model "smolm2"; did you mean "smollm2"?'),
        ("SmolLM2", 'There is no model "SmolLM2"; did you mean "smollm2"?'),
        ("gpt-oss-20", 'There is no model "gpt-oss-20"; use one of "smollm2".'),
        ("", 'There is no model ""; use one of "smollm2".'),
        ("y" * 5000, f'There is no model "{"y" * 100}…"; use one of "smollm2".'),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one_that_works(
    name: str, message: str, folder: Folder
) -> None:
    with pytest.raises(ModelNotFound) as refused:
        folder.read(TEXT).find(name)
    assert (refused.value.message, refused.value.param, refused.value.status) == (message, "model", 404)


def test_an_unknown_name_is_answered_with_a_few_of_the_models(folder: Folder) -> None:
    model = '[models.{}]\nengine = "command"\ncommand = ["x", "{{port}}"]\n'
    with pytest.raises(ModelNotFound, match=r'; use one of "m0", "m1", "m2", "m3", "m4" and 2 more\.$'):
        folder.read("".join(model.format(f"m{number}") for number in range(7))).find("claude-opus")
    with pytest.raises(ModelNotFound, match="; the catalogue has none that is enabled"):
        folder.read("").find("claude-opus")


@pytest.mark.parametrize("name", ["gpt-oss-20b", "oss"])
def test_a_disabled_model_is_refused_with_the_reason(name: str, folder: Folder) -> None:
    with pytest.raises(ModelDisabled) as refused:
        folder.read(TEXT).find(name)
    assert refused.value.message == 'Model "gpt-oss-20b" is disabled: crashes on this driver'


def test_the_refusal_names_what_to_use_instead(folder: Folder) -> None:
    with pytest.raises(ModelDisabled) as refused:
        folder.read(f'{TEXT}instead = "smollm2"').find("oss")
    assert refused.value.message == (
        'Model "gpt-oss-20b" is disabled: crashes on this driver; use smollm2 instead'
    )


def test_ten_thousand_models_are_read_and_found(folder: Folder) -> None:
    catalogue = folder.read("".join(f'[models.m{i}]\n{VLLM}aliases = ["alias-{i}"]\n' for i in range(10_000)))
    assert len(catalogue.models) == 10_000
    assert catalogue.find("alias-9999").id == "m9999"
    with pytest.raises(ModelNotFound):
        catalogue.find("n7")


def test_among_many_names_only_those_that_begin_alike_are_compared() -> None:
    names = [f"a{i}" for i in range(COMPARED)] + ["model-x", "Model-y"]
    assert find_nearest("modle-x", names) == "model-x"
    assert find_nearest("nodel-x", names) is None


def test_nothing_is_near_to_nothing_or_to_a_name_without_end() -> None:
    assert find_nearest("", ["a"]) is None
    assert find_nearest("a" * 101, ["a" * 100]) is None
    assert find_nearest("abc", []) is None
