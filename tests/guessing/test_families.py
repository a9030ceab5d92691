"""Real families: the guesses for each, from its own config.json and the markers of its chat template."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from sparkd.catalog.reading import read_catalogue
from sparkd.errors import ModelNotAdded
from sparkd.guessing import AddOptions, guess_model
from sparkd.guessing.families import GENERAL_REASONING, REASONING_PARSERS, TOOL_PARSERS
from sparkd.guessing.quantisation import KNOWN_METHODS
from sparkd.guessing.template import TOOL_CALLS
from sparkd.runtimes import find_installed
from tests.guessing.configs import (
    BERT,
    DEEPSEEK,
    GEMMA3,
    GEMMA4,
    GLM4_MOE,
    GPT_OSS,
    HERMES,
    HOST,
    LLAMA,
    MISTRAL3,
    NEMOTRON_H,
    PHI,
    QWEN3,
    QWEN3_5,
    QWEN3_MOE,
    RERANKER,
    SPARK,
    THINKING_HERMES,
    WHISPER,
    facts,
    guess,
    parsers,
)

CLONE = Path(__file__).parents[2]
QWEN_CALLS = "{% if tools %}<tool_call>\n<function=name>{% endif %}<think>{% if enable_thinking %}"


@pytest.mark.parametrize(
    ("name", "config", "template", "expected"),
    [
        ("Llama-3.3-70B-Instruct", LLAMA, "{% if tools %}Environment: ipython", ("llama3_json", None)),
        ("Hermes-3-Llama-3.1-8B", LLAMA, HERMES, ("hermes", None)),
        ("SmolLM2-1.7B-Instruct", LLAMA, "{% for m in messages %}", (None, None)),
        ("DeepSeek-R1-Distill-Llama-8B", LLAMA, "<think>\n", (None, "deepseek_r1")),
        ("Qwen3-8B", QWEN3, THINKING_HERMES, ("hermes", "qwen3")),
        ("Qwen3-4B-Instruct-2507", QWEN3, HERMES, ("hermes", None)),
        ("Qwen3-30B-A3B-Thinking-2507", QWEN3_MOE, HERMES + "<think>\n", ("hermes", "qwen3")),
        ("Qwen3-Coder-30B-A3B-Instruct", QWEN3_MOE, "{% if tools %}<function=", ("qwen3_coder", None)),
        ("Qwen3.5-0.8B", QWEN3_5, QWEN_CALLS, ("qwen3_coder", "qwen3")),
        ("gemma-3-4b-it", GEMMA3, "Conversation roles must alternate", (None, None)),
        ("gemma-4-26B-A4B-it", GEMMA4, "{% if tools %}<|tool_call>call:{{ x }}", ("gemma4", "gemma4")),
        ("Mistral-Small-3.2-24B", MISTRAL3, "{% if tools %}[TOOL_CALLS]", ("mistral", None)),
        ("Magistral-Small-2509", MISTRAL3, "{% if tools %}[TOOL_CALLS][THINK]", ("mistral", "mistral")),
        ("GLM-4.5-Air", GLM4_MOE, "{% if tools %}<tool_call><arg_key><think>", ("glm45", "glm45")),
        ("GLM-4.7", GLM4_MOE, "{% if tools %}<tool_call><arg_key><think>", ("glm47", "glm47")),
        ("gpt-oss-20b", GPT_OSS, "{% if tools %}<|channel|>commentary", ("openai", "openai_gptoss")),
        ("DeepSeek-V3.1", DEEPSEEK, "{% if tools %}{% if thinking %}", ("deepseek_v31", "deepseek_v3")),
        ("DeepSeek-R1", DEEPSEEK, "{% if tools %}<think>", ("deepseek_v3", "deepseek_r1")),
        ("NVIDIA-Nemotron-3-Nano-30B-A3B", NEMOTRON_H, QWEN_CALLS, ("qwen3_coder", "nemotron_v3")),
        ("Phi-4-mini-instruct", PHI, "{% if tools %}<|tool|>", ("phi4_mini_json", None)),
    ],
)
def test_a_family_gets_its_parsers(
    name: str, config: dict[str, object], template: str, expected: tuple[str | None, str | None]
) -> None:
    entry = guess(name, config, template)
    assert parsers(entry) == expected
    assert entry.value("options.enable-auto-tool-choice") is (True if expected[0] else None)


def test_without_a_chat_template_only_family_and_name_count() -> None:
    assert parsers(guess("Qwen3-8B", QWEN3, None)) == ("hermes", None)
    assert parsers(guess("Qwen3-4B-Thinking-2507", QWEN3, None)) == ("hermes", "qwen3")
    warned = guess("Qwen3-8B-Base", QWEN3, None).warnings
    assert any("no chat template" in warning for warning in warned)
    assert not guess("Mistral-Small", MISTRAL3, None, files=["tekken.json"]).warnings


def test_an_unknown_family_uses_its_chat_template() -> None:
    unheard = {**LLAMA, "architectures": ["NewForCausalLM"], "model_type": "unheard_of"}
    entry = guess("New-7B", unheard, HERMES + "<think>")
    assert parsers(entry) == ("hermes", "deepseek_r1")
    assert any("unheard_of" in note for note in entry.notes)


def test_a_family_of_the_catalogue_is_suggested() -> None:
    machine = replace(SPARK, families={"gemma4": "vllm", "gpt-oss": "cpu"})
    assert any(
        "--family gemma4" in note for note in guess("gemma-4-26B-A4B-it", GEMMA4, machine=machine).notes
    )
    assert not any("--family" in note for note in guess("Qwen3-8B", QWEN3, machine=machine).notes)
    chosen = guess("gemma-4-26B-A4B-it", GEMMA4, "must alternate", machine, AddOptions(family="gemma4"))
    assert (parsers(chosen), chosen.value("family")) == ((None, None), "gemma4")
    assert "rewriting" not in chosen.table()
    oss = guess("gpt-oss-20b", GPT_OSS, None, machine, AddOptions(family="gpt-oss"))
    assert oss.guesses[0].reason == "family gpt-oss"
    assert oss.value("runtime") == "cpu"


def test_every_parser_and_every_quantisation_named_here_is_one_that_vllm_knows() -> None:
    runtime = read_catalogue(CLONE / "models.toml").runtimes["cpu"]
    built = find_installed(runtime, CLONE / ".sparkd" / "runtimes")
    assert built is not None
    (vllm,) = built.glob("lib/python3.*/site-packages/vllm")
    tools = read_assigned(vllm / "tool_parsers" / "__init__.py", "_TOOL_PARSERS_TO_REGISTER")
    reasoning = read_assigned(vllm / "reasoning" / "__init__.py", "_REASONING_PARSERS_TO_REGISTER")
    quantisations = read_assigned(
        vllm / "model_executor/layers/quantization/__init__.py", "QuantizationMethods"
    )
    assert TOOL_PARSERS | {parser for _, parser in TOOL_CALLS} <= tools
    assert {*REASONING_PARSERS, GENERAL_REASONING} <= reasoning
    assert {
        "inc" if method == "auto-round" else method for method in KNOWN_METHODS
    } <= quantisations  # its name for it


def read_assigned(file: Path, name: str) -> set[str]:
    """The names in the dictionary, or in the Literal, that a module of vLLM's assigns."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            value = node.value.slice if isinstance(node.value, ast.Subscript) else node.value
            return set(ast.literal_eval(value))
    raise AssertionError(f"{file} has no {name}")


def test_vision_is_seen_in_the_configuration_or_in_the_files() -> None:
    assert guess("gemma-3-4b-it", GEMMA3).value("vision") is True
    assert guess("Qwen3-8B", QWEN3).value("vision") is None
    odd = {**LLAMA, "architectures": ["OddForConditionalGeneration"]}
    assert guess("odd", odd, files=["preprocessor_config.json"]).value("vision") is True
    assert (
        guess("odd", {**odd, "audio_config": {}}, files=["preprocessor_config.json"]).value("vision") is None
    )


def test_templates_that_want_turns_and_templates_with_a_switch_get_their_rewriting() -> None:
    gemma = guess(
        "gemma-3-4b-it", GEMMA3, "raise_exception('Conversation roles must alternate user/assistant')"
    )
    assert gemma.table()["rewriting"] == {"alternate_roles": True}
    assert guess("Qwen3-8B", QWEN3, THINKING_HERMES).table()["rewriting"] == {"thinking_switch": True}
    assert "rewriting" not in guess("Llama-3.1-8B-Instruct", LLAMA).table()


def test_embeddings_and_rerankers_run_with_the_pooling_runner() -> None:
    bert = guess("bge-small-en", BERT, None, HOST)
    assert bert.value("options.runner") == "pooling"
    assert bert.value("lifecycle") == "utility"
    assert bert.value("kv_cache") is None
    assert (bert.value("tags"), bert.warnings) == (["embeddings"], [])
    qwen = guess("Qwen3-Embedding-0.6B", QWEN3, files=["modules.json", "config_sentence_transformers.json"])
    assert qwen.value("options.runner") == "pooling"
    assert qwen.value("kv_cache") is not None
    assert parsers(qwen) == (None, None)
    made = guess("Qwen3-Reranker-0.6B", QWEN3)
    assert any("hf-overrides" in warning for warning in made.warnings)
    reranker = guess("bge-reranker-v2-m3", RERANKER, None)
    assert "reranker" in reranker.value("description")
    assert reranker.value("context_length") == 8192


@pytest.mark.parametrize(
    ("config", "files", "why"),
    [
        (WHISPER, (), "speech model"),
        ({"model_type": "t5", "is_encoder_decoder": True}, (), "encoder-decoder"),
        ({}, ("adapter_config.json",), "adapter"),
        ({}, ("model_index.json",), "generates images"),
        ({"hidden_size": 4}, (), "neither architectures nor a model_type"),
    ],
)
def test_a_model_that_cannot_be_guessed_is_rejected_with_the_reason(
    config: dict[str, object], files: tuple[str, ...], why: str
) -> None:
    with pytest.raises(ModelNotAdded, match=why):
        guess("thing", config, None, files=files)


def test_gguf_weights_are_rejected_and_pickles_cause_a_warning() -> None:
    with pytest.raises(ModelNotAdded, match=r"only GGUF weights.*llama-server"):
        warnings_with("model-Q4_K_M.gguf")
    assert any("pickles" in warning for warning in warnings_with("pytorch_model.bin", "training_args.bin"))
    assert not warnings_with("model.safetensors", "pytorch_model.bin")
    assert not warnings_with("model.safetensors", "model.gguf")


def warnings_with(*files: str) -> list[str]:
    found = replace(facts("x", LLAMA), files=frozenset({"config.json", *files}))
    return guess_model(found, SPARK, AddOptions()).warnings


def test_quantised_weights_need_no_flag_but_a_machine_that_supports_them() -> None:
    oss = guess("gpt-oss-20b", GPT_OSS)
    assert any(note.startswith("the weights are quantised: MXFP4") for note in oss.notes)
    assert "quantization" not in oss.table()["options"]
    glm = guess("GLM-4.5-Air-FP4", GLM4_MOE)
    assert any(note.startswith("the weights are quantised: NVFP4") for note in glm.notes)
    here = guess("gpt-oss-20b", GPT_OSS, machine=HOST)
    assert any("does not support MXFP4 weights without a GPU" in warning for warning in here.warnings)
    odd = guess("x", {**LLAMA, "quantization_config": {"quant_method": "bitsandbytes"}})
    assert any("bitsandbytes" in warning for warning in odd.warnings)
    assert "bitsandbytes" not in KNOWN_METHODS


def test_code_from_a_repository_runs_only_if_allowed() -> None:
    foreign = {**LLAMA, "model_type": "unheard_of", "auto_map": {"AutoConfig": "configuration_x.XConfig"}}
    assert "configuration_x.XConfig" in guess("x", foreign).untrusted
    known = guess("Phi-4-mini-instruct", PHI)
    assert (known.untrusted, known.value("options.trust-remote-code")) == ("", None)
    assert any("auto_map" in note for note in known.notes)
