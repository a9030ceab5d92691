"""The catalogue that comes with sparkd: what each model has to be, and what holds for all of them."""

import re
import tomllib
from pathlib import Path
from typing import NamedTuple, get_args

import pytest

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.labels import Tag
from sparkd.catalog.quantities import GIB
from sparkd.catalog.ranking import choose_first_model, rank_models
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reference.guide import CATALOGUE, FILE, TASKS, render_guide, render_page
from sparkd.engines import ENGINES, find_engine_problems
from sparkd.engines.engine import LaunchContext, UnixAddress
from sparkd.errors import ModelDisabled
from tests.catalog.folder import Folder

SPARK = 127600748 * 1024
"""Memory of a DGX Spark, in bytes."""

RESERVE = 8 * GIB
WITHOUT_GPU = {"all-minilm-l6-v2", "smollm2-135m-instruct"}
NAMES = {
    "qwen3-coder-30b-instruct": "qwen3-coder-30b-a3b-instruct",
    "qwen2.5-coder-7b": "qwen2.5-coder-7b-instruct",
    "gpt-oss-20b:high": "gpt-oss-20b",
    "gpt-oss-120b:low": "gpt-oss-120b",
}
NAMES_OF_DISABLED = {
    "qwen3-next-80b-a3b-instruct": "qwen3-next-80b-a3b-instruct-fp4",
    "qwen3-next-80b-a3b-thinking": "qwen3-next-80b-a3b-thinking-fp4",
}
NOTHING_BEHIND = ("gemma-3-4b-it-qat", "gemma-2-27b-it", "gemma-2-9b-it", "iquest-coder-v1-40b-instruct-fp4")

OPENCODE = {
    "gpt-oss-20b": (108000, 8192),
    "gpt-oss-120b": (108000, 8192),
    "glm-4.7-flash-awq": (108000, 8192),
    "gemma4-26b-a4b": (240000, 8192),
    "huihui-gemma4-e2b-abliterated": (120000, 8192),
    "huihui-qwen3.5-35b-a3b-abliterated": (200000, 8192),
    "qwen3-coder-next-int4-autoround": (524000, 8192),
    "qwen3.5-0.8b": (8192, 2048),
    "qwen3.6-27b-fp8": (240000, 8192),
    "qwen3.6-27b-fp8-mtp": (240000, 8192),
    "qwen3.6-35b-a3b-fp8": (240000, 8192),
    "qwen3.6-35b-a3b-fp8-mtp": (240000, 8192),
}
CLINE = {
    "gpt-oss-20b": 131072,
    "gpt-oss-120b": 131072,
    "glm-4.7-flash-awq": 131072,
    "gemma4-26b-a4b": 240000,
    "qwen3.6-27b-fp8": 240000,
    "qwen3.6-35b-a3b-fp8-mtp": 240000,
}


class Expected(NamedTuple):
    """A line of shipped.txt."""

    id: str
    source: str
    context: str
    status: str
    lifecycle: str
    tools: str
    reasoning: str
    rewriting: str


LINES = (Path(__file__).parent / "shipped.txt").read_text().splitlines()[1:]
EXPECTED = [Expected(*line.split()) for line in LINES]
SHIPPED = read_catalogue(CATALOGUE)
MODELS = list(SHIPPED.models.values())

every = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)


def rewriting_of(model: Model) -> str:
    """How its requests are rewritten, and whether it takes images, in the format of shipped.txt."""
    rewriting = model.rewriting
    words = {
        "strip": rewriting.tools == "strip",
        "require": rewriting.tools == "require",
        "turns": rewriting.alternate_roles,
        "hints": rewriting.tool_hints,
        "join": rewriting.join_text,
        "switch": rewriting.thinking_switch,
        "disable-thinking": rewriting.disable_thinking,
        "margin": rewriting.margin == 4096,
        "vision": model.vision,
    }
    return "+".join(word for word, holds in words.items() if holds) or "-"


def to_line(model: Model) -> Expected:
    """A model as a line of shipped.txt."""
    return Expected(
        id=model.id,
        source=model.source or "",
        context=str(model.context_length),
        status=model.status,
        lifecycle=model.lifecycle,
        tools=str(model.options.get("tool-call-parser", "-")),
        reasoning=str(model.options.get("reasoning-parser", "-")),
        rewriting=rewriting_of(model),
    )


def argv(model: Model) -> list[str]:
    """Its command line on a DGX Spark."""
    context = LaunchContext(
        program=Path("/runtime/bin"),
        environment={},
        directory=Path("/private"),
        models=Path("/models"),
        cache=Path("/cache"),
        address=UnixAddress("/run/engine.sock"),
        inherited={},
        memory=model.memory,
        total=SPARK,
    )
    return list(ENGINES[model.engine].build_command(model, context).argv)


def test_the_catalogue_has_these_models_and_no_others() -> None:
    assert len(EXPECTED) == 53
    assert {line.id for line in EXPECTED} | WITHOUT_GPU == set(SHIPPED.models)


@pytest.mark.parametrize("line", EXPECTED, ids=lambda line: line.id)
def test_a_model_is_what_it_has_to_be(line: Expected) -> None:
    assert to_line(SHIPPED.models[line.id]) == line


def test_clients_have_the_limits_that_were_found_to_work() -> None:
    limits = {model.id: model.clients for model in MODELS}
    assert {
        id_: (of.opencode.context, of.opencode.output) for id_, of in limits.items() if of.opencode.context
    } == OPENCODE
    assert {id_: of.cline.context for id_, of in limits.items() if of.cline.context} == CLINE


@every
def test_a_model_has_a_description_for_people(model: Model) -> None:
    assert model.description
    assert len(model.description) < 100
    assert model.tags
    assert model.reason
    assert model.family in tomllib.loads(CATALOGUE.read_text())["families"] or model.id in WITHOUT_GPU


@every
def test_a_model_fits_a_dgx_spark(model: Model) -> None:
    (utility,) = (model for model in MODELS if model.lifecycle == "utility" and model.enabled)
    assert model.memory
    assert utility.memory
    beside = utility.memory if model.lifecycle == "normal" else 0
    assert model.memory + beside <= SPARK - RESERVE
    assert not {"gpu-memory-utilization", "max-model-len"} & set(model.options)


@every
def test_a_model_has_a_valid_command_line(model: Model) -> None:
    words = argv(model)
    assert words[:3] == ["/runtime/bin/vllm", "serve", model.source]
    assert "--gpu-memory-utilization" in words
    assert ("--enable-auto-tool-choice" in words) == ("--tool-call-parser" in words)
    assert all(word for word in words)
    flags = [word for word in words if word.startswith("--")]
    assert len(flags) == len(set(flags))


@every
def test_a_model_on_stock_vllm_has_no_flag_of_a_fork_and_few_requests_at_once(
    model: Model,
) -> None:
    if model.runtime == "vllm":
        assert not any(name.startswith("mxfp4") for name in model.options)
        assert int(str(model.options["max-num-seqs"])) <= 32 or model.lifecycle == "exclusive"
        assert model.start_timeout == 1800


def test_the_catalogue_is_right_and_so_are_its_options() -> None:
    assert find_engine_problems(SHIPPED) == []
    assert {model.runtime for model in MODELS} == {"cpu", "vllm", "vllm-mxfp4"}


def test_other_names_lead_to_their_models() -> None:
    assert {name: SHIPPED.find(name).id for name in NAMES} == NAMES
    for name, id_ in NAMES_OF_DISABLED.items():
        with pytest.raises(ModelDisabled, match=id_):
            SHIPPED.find(name)


@every
def test_what_is_to_be_used_instead_is_there(model: Model) -> None:
    named = [SHIPPED.models[id_] for id_ in re.findall(r"[\w.-]+", model.instead) if id_ in SHIPPED.models]
    assert bool(named) == bool(model.instead)
    assert all(other.enabled and other.status != "manual" for other in named)


def test_models_stand_by_family_and_then_by_name() -> None:
    text = CATALOGUE.read_text()
    families = tomllib.loads(text)["families"]
    order = [(list(families).index(model.family), model.id.lower()) for model in MODELS if model.family]
    assert order == sorted(order)
    assert set(families) == {model.family for model in MODELS if model.family}


def test_the_20b_moves_to_the_faster_build_as_the_catalogue_says(folder: Folder) -> None:
    recipe = re.search(r"```toml\n(\[changes.gpt-oss-20b\].*?)```", FILE.read_text(), re.DOTALL)
    assert recipe
    said = re.findall(r"^#   (.+)$", CATALOGUE.read_text(), re.MULTILINE)
    assert recipe[1].splitlines() == said
    words = argv(shipped_with(folder, recipe[1]).models["gpt-oss-20b"])
    assert "--mxfp4-backend" in words
    assert "--moe-backend" not in words


def test_a_disabled_model_can_be_tried_as_the_guide_says(folder: Folder) -> None:
    recipe = re.search(r"```toml\n(\[changes.deepseek.*?)```", FILE.read_text(), re.DOTALL)
    assert recipe
    model = shipped_with(folder, recipe[1]).find("deepseek-r1-distill-qwen-14b")
    assert (model.memory, model.context_length, model.reason) == (60 * GIB, 65536, "")


def test_a_smaller_machine_can_say_so_and_keep_the_catalogue(folder: Folder) -> None:
    catalogue = shipped_with(folder, '[memory]\ntotal = "20 GiB"')
    assert catalogue.settings.memory.total == 20 * GIB
    assert len(catalogue.models) == len(MODELS)


def shipped_with(folder: Folder, drop_in: str) -> Catalogue:
    """The shipped catalogue, and an owner's file beside it."""
    folder.write("models.d/mine.toml", drop_in)
    for runtime in SHIPPED.runtimes:
        folder.write(f"venvs/{runtime}/runtime.toml", "")
    return folder.read(CATALOGUE.read_text())


def test_the_guide_is_in_step_with_the_catalogue() -> None:
    assert render_page() == FILE.read_text(), "run: python -m sparkd.catalog.reference.guide"


def test_the_guide_names_every_model_and_every_task() -> None:
    text = render_guide(MODELS)
    assert set(TASKS) == set(get_args(Tag))
    for model in MODELS:
        assert f"\n| `{model.id}`" in text
    assert all(f"\n| {words} | " in text for words in TASKS.values())
    assert all(f"`{name}`" in FILE.read_text() and name not in text for name in NOTHING_BEHIND)


def test_the_guide_offers_what_is_validated_first_and_nothing_that_is_not_served() -> None:
    assert rank_models(MODELS, "chat")[0].id == "gpt-oss-20b"
    assert rank_models(MODELS, "vision")[0].id == "gemma4-26b-a4b"
    assert rank_models(MODELS, "small")[0].id == "qwen3.5-0.8b"
    assert getattr(choose_first_model(MODELS, ["vllm"]), "id", None) == "gpt-oss-20b"
    assert getattr(choose_first_model(MODELS, ["cpu"]), "id", None) == "smollm2-135m-instruct"
    for tag in TASKS:
        statuses = [model.status for model in rank_models(MODELS, tag)]
        assert statuses == sorted(statuses, reverse=True)
        assert set(statuses) <= {"validated", "experimental"}
