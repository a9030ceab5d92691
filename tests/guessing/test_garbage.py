"""Files of a model that say nonsense: a clear message, or nothing guessed from them; never a trace."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkd.errors import ModelNotAdded
from sparkd.guessing import AddOptions, guess_model, parse_facts
from tests.guessing.configs import LLAMA, SPARK


def guess_table(config: bytes, **more: bytes) -> dict[str, Any]:
    texts = {"config.json": config, **{name.replace("__", "."): data for name, data in more.items()}}
    sizes = {name: len(data) for name, data in texts.items()}
    return guess_model(parse_facts("org/x", "x", texts, sizes), SPARK, AddOptions()).table()


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (b"", "config.json is not JSON"),
        (b"<html>", "config.json is not JSON"),
        (b"\xff\xfe{", "config.json is not UTF-8"),
        (b"[]", "config.json is JSON, but not an object"),
        (b"[" * 100_000, "config.json is not JSON: nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "config.json is not JSON"),
        (b'{"architectures": "LlamaForCausalLM"}', "architectures = .*expected a list of strings"),
        (b'{"architectures": ["XForCausalLM"], "model_type": 3}', "model_type = 3: expected a string"),
        (b'{"architectures": ["XForCausalLM"], "text_config": 3}', "text_config = 3: expected an object"),
    ],
)
def test_a_config_that_cannot_be_read_is_reported(config: bytes, why: str) -> None:
    with pytest.raises(ModelNotAdded, match=why):
        guess_table(config)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_position_embeddings", "many"),
        ("max_position_embeddings", -5),
        ("max_position_embeddings", 10**30),
        ("max_position_embeddings", True),
        ("num_hidden_layers", 10**9),
        ("num_hidden_layers", 1.5),
        ("num_key_value_heads", {"a": 1}),
        ("head_dim", float("nan")),
        ("vocab_size", float("inf")),
        ("layer_types", [1, 2]),
        ("rope_scaling", "yarn"),
        ("rope_scaling", {"type": "linear", "factor": 1e30}),
        ("quantization_config", "fp8"),
        ("auto_map", "x"),
    ],
)
def test_an_impossible_value_is_reported_with_its_key(key: str, value: object) -> None:
    with pytest.raises(ModelNotAdded, match=rf"^config\.json: {key}"):
        guess_table(json.dumps({**LLAMA, key: value}).encode())


def test_other_invalid_files_are_reported_with_their_names() -> None:
    good = json.dumps(LLAMA).encode()
    with pytest.raises(ModelNotAdded, match=r"tokenizer_config\.json is not JSON"):
        guess_table(good, tokenizer_config__json=b"{")
    with pytest.raises(ModelNotAdded, match=r"model\.safetensors\.index\.json: metadata\.total_size"):
        guess_table(good, model__safetensors__index__json=b'{"metadata": {"total_size": "big"}}')
    with pytest.raises(ModelNotAdded, match=r"total_size"):
        guess_table(good, model__safetensors__index__json=b'{"metadata": {"total_size": 1e30}}')


def test_odd_names_and_long_texts_do_no_harm() -> None:
    huge = json.dumps({**LLAMA, "model_type": "x" * 100_000}).encode()
    assert "context_length" in guess_table(huge)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ODD_KEYS = (
    *(
        "text_config",
        "vision_config",
        "sliding_window",
        "layer_types",
        "head_dim",
        "kv_lora_rank",
        "id2label",
    ),
    *("quantization_config", "hybrid_override_pattern", "num_kv_shared_layers", "auto_map", "dtype"),
)
KEYS = st.sampled_from([*LLAMA, *ODD_KEYS])


@given(changes=st.dictionaries(KEYS, JSON, max_size=4))
@settings(max_examples=300, deadline=None)
def test_whatever_a_config_says_there_is_an_entry_or_one_message(changes: dict[str, Any]) -> None:
    message = ""
    try:
        table = guess_table(json.dumps({**LLAMA, **changes}).encode())
    except ModelNotAdded as error:
        message = error.message
    assert message or table["source"] == "org/x"
    assert "\n" not in message
