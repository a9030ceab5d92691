"""Context length and memory: the model's limit, the machine's memory, and the arithmetic between them."""

from __future__ import annotations

from typing import Any

import pytest

from sparkd.catalog.quantities import GIB, MIB
from sparkd.catalog.sizes import parse_size
from sparkd.errors import ModelNotAdded
from sparkd.guessing import AddOptions, Facts, Machine, Weights, guess_model
from sparkd.guessing.context import context_limit
from sparkd.guessing.facts import JsonObject
from sparkd.guessing.memory import KvCache, compute_cache, format_exact_size, layer_kinds, round_up
from tests.guessing.configs import (
    BERT,
    DEEPSEEK,
    GEMMA3,
    GEMMA4,
    GPT_OSS,
    HOST,
    LLAMA,
    NEMOTRON_H,
    PHI,
    QWEN3,
    QWEN3_5,
    QWEN3_MOE,
    RERANKER,
    SPARK,
    facts,
    guess,
)


def find_limit(config: dict[str, Any], **more: Any) -> tuple[int, str]:
    found = context_limit(facts("x", config, **more), "chat")
    assert found is not None
    return found


def cache(config: dict[str, Any], width: int = 2) -> KvCache:
    found = compute_cache(facts("x", config), width)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (LLAMA, (131072, "max_position_embeddings")),
        (QWEN3_5, (262144, "max_position_embeddings")),
        (GEMMA3, (131072, "max_position_embeddings")),
        (GEMMA4, (262144, "max_position_embeddings")),
        (GPT_OSS, (131072, "max_position_embeddings")),
        (DEEPSEEK, (163840, "max_position_embeddings")),
        (PHI, (131072, "max_position_embeddings")),
        (RERANKER, (8192, "max_position_embeddings - 2 for padding")),
        ({"n_positions": 1024}, (1024, "n_positions")),
        ({"max_position_embeddings": 8192, "seq_length": 4096}, (4096, "seq_length")),
        (
            {"max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4.0}},
            (16384, "max_position_embeddings * 4 (linear rope scaling)"),
        ),
    ],
)
def test_the_context_is_the_one_that_vllm_derives(config: dict[str, Any], expected: tuple[int, str]) -> None:
    assert find_limit(config) == expected


def test_a_tokenizer_speaks_where_the_model_is_silent_and_an_embedding_model_minds_all_three() -> None:
    tokenizer = JsonObject("tokenizer_config.json", {"model_max_length": 2048})
    assert find_limit({}, tokenizer=tokenizer) == (2048, "model_max_length of tokenizer_config.json")
    assert find_limit(LLAMA, tokenizer=tokenizer)[0] == 131072
    endless = JsonObject("tokenizer_config.json", {"model_max_length": 10**30})
    assert context_limit(facts("x", {}, tokenizer=endless), "chat") is None
    sentence = JsonObject("sentence_bert_config.json", {"max_seq_length": 256})
    found = context_limit(facts("x", BERT, tokenizer=tokenizer, sentence_bert=sentence), "embedding")
    assert found == (256, "max_seq_length of sentence_bert_config.json")


@pytest.mark.parametrize(
    ("config", "kinds", "per_token"),
    [
        (LLAMA, (32, 0, 0), 32 * 2 * 8 * 128 * 2),
        (QWEN3, (36, 0, 0), 36 * 2 * 8 * 128 * 2),
        (GPT_OSS, (12, 12, 0), 12 * 2 * 8 * 64 * 2),
        (GEMMA3, (5, 29, 0), 5 * 2 * 4 * 256 * 2),
        (GEMMA4, (1, 5, 0), 2 * 2 * 512 * 2),
        (QWEN3_5, (6, 0, 18), 6 * 2 * 2 * 256 * 2),
        (NEMOTRON_H, (6, 0, 23), 6 * 2 * 2 * 128 * 2),
        (DEEPSEEK, (61, 0, 0), 61 * (512 + 64) * 2),
    ],
)
def test_each_kind_of_layer_has_its_cache_size(
    config: dict[str, Any], kinds: tuple[int, int, int], per_token: int
) -> None:
    found = cache(config)
    assert (found.full, found.windowed, found.states) == kinds
    assert found.bytes(200_001) - found.bytes(200_000) == per_token


def test_other_ways_to_declare_full_attention_layers() -> None:
    assert layer_kinds(JsonObject("", {"full_attention_interval": 4}), 8).count("full") == 2
    assert layer_kinds(JsonObject("", {"sliding_window": 4096}), 4) == ["window"] * 4
    assert (
        layer_kinds(JsonObject("", {"sliding_window": 4096, "use_sliding_window": False}), 4) == ["full"] * 4
    )
    shared = JsonObject(
        "", {"layer_types": ["sliding_attention"] * 3 + ["full_attention"], "num_kv_shared_layers": 2}
    )
    assert layer_kinds(shared, 4) == ["window"] * 2


def test_the_sum_is_weights_and_cache_and_what_vllm_takes_itself() -> None:
    entry = guess("Llama-3.1-8B-Instruct", LLAMA, weights=Weights(15 * GIB, "4 .safetensors files"))
    assert entry.value("context_length") == 131072
    assert entry.value("kv_cache") == "16 GiB"
    assert entry.value("memory") == "37 GiB"
    assert [" ".join(line.split()) for line in entry.arithmetic] == [
        "15 GiB weights: 4 .safetensors files",
        "16 GiB KV cache: 32 layers * 2 * 8 heads * 128 * 2 bytes * 131072 tokens",
        "6 GiB vLLM itself, as measured",
        "37 GiB total",
    ]


def test_weights_of_16_bits_take_twice_as_much_where_32_are_calculated_with() -> None:
    entry = guess("Llama-3.1-8B", LLAMA, machine=HOST, weights=Weights(2 * GIB, "1 .safetensors file"))
    assert entry.value("options.dtype") == "float32"
    assert (
        entry.arithmetic[0].split("  ")[-1] == "weights: 1 .safetensors file in bfloat16, loaded as float32"
    )
    assert entry.arithmetic[0].strip().startswith("4 GiB")
    assert "4 bytes" in entry.arithmetic[1]
    quantised = {**LLAMA, "quantization_config": {"quant_method": "awq", "bits": 4}}
    kept = guess("Llama-3.1-8B-AWQ", quantised, machine=HOST, weights=Weights(2 * GIB, "1 .safetensors file"))
    assert kept.arithmetic[0].strip().startswith("2 GiB")


def test_a_short_context_gets_room_for_four_requests() -> None:
    entry = guess("x", {**LLAMA, "max_position_embeddings": 4096})
    assert next(one for one in entry.guesses if one.key == "kv_cache").reason.startswith(
        "room for 4 requests"
    )


def test_a_context_is_cut_to_what_memory_holds_and_says_so() -> None:
    small = Machine(gpu=True, budget=20 * GIB, runtimes=("vllm",))
    entry = guess("Llama-3.1-8B-Instruct", LLAMA, machine=small)
    context = entry.value("context_length")
    assert context % 1024 == 0
    assert 40_000 < context < 49_152
    assert parse_size(entry.value("memory")) <= 20 * GIB
    reason = next(one for one in entry.guesses if one.key == "context_length").reason
    assert reason == "what fits into memory; max_position_embeddings is 131072"


def test_a_longer_context_than_usual_is_only_used_on_request() -> None:
    assert guess("Qwen3-30B-A3B", QWEN3_MOE).value("context_length") == 131072
    asked = guess("Qwen3-30B-A3B", QWEN3_MOE, options=AddOptions(context=262144))
    assert asked.value("context_length") == 262144


@pytest.mark.parametrize(
    ("machine", "options", "why"),
    [
        (
            Machine(gpu=True, budget=10 * GIB, runtimes=("vllm",)),
            AddOptions(),
            "weights need 8 GiB and vLLM itself 6 GiB",
        ),
        (
            Machine(gpu=True, budget=20 * GIB, utility="tiny", utility_memory=8 * GIB, runtimes=("vllm",)),
            AddOptions(),
            "beside the utility model tiny is 12 GiB",
        ),
        (SPARK, AddOptions(memory=9 * GIB), "--memory is 9 GiB"),
        (SPARK, AddOptions(context=131073), "more than the model supports: 131072"),
        (Machine(gpu=True, budget=20 * GIB, runtimes=("vllm",)), AddOptions(context=131072), "tokens fit"),
        (
            Machine(gpu=True, budget=14 * GIB + 257 * MIB, runtimes=("vllm",)),
            AddOptions(),
            "left for its KV cache",
        ),
        (
            Machine(gpu=True, runtimes=("cpu",)),
            AddOptions(),
            'no runtime "vllm", the default on this machine',
        ),
        (HOST, AddOptions(runtime="cpuu"), 'did you mean "cpu"'),
    ],
)
def test_what_cannot_be_is_refused_with_the_figures(machine: Machine, options: AddOptions, why: str) -> None:
    with pytest.raises(ModelNotAdded, match=why):
        guess("Llama-3.1-8B-Instruct", LLAMA, machine=machine, options=options)


def test_without_facts_the_given_options_are_used() -> None:
    nothing = Facts("org/x", "x", JsonObject("config.json", {}), empty=True)
    entry = guess_model(nothing, SPARK, AddOptions(context=4096, memory=20 * GIB))
    assert entry.table() == {
        "description": "x",
        "runtime": "vllm",
        "source": "org/x",
        "context_length": 4096,
        "memory": "20 GiB",
    }
    unsaid = guess_model(nothing, SPARK, AddOptions())
    assert [
        one for one in ("--context", "--memory") if any(one in message for message in unsaid.warnings)
    ] == [
        "--context",
        "--memory",
    ]


def test_an_unknown_machine_sets_no_limit() -> None:
    assert guess("x", LLAMA, machine=Machine(gpu=True, runtimes=("vllm",))).value("context_length") == 131072


def test_a_rounded_size_is_no_smaller_and_its_text_is_that_size() -> None:
    for size in (1, 65 * MIB, GIB, GIB + 1, 7 * GIB - 3, 123_456_789_012):
        whole = round_up(size)
        assert size <= whole <= size + GIB // 8
        assert isinstance(format_exact_size(whole), str)
        assert parse_size(str(format_exact_size(whole))) == whole
    assert format_exact_size(123_456_789_012) == 123_456_789_012
