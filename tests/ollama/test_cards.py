"""The lists: every field that strict decoders demand is always there."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sparkd.ollama.abilities import find_abilities
from sparkd.ollama.cards import ModelFacts, running, show, tag, version_document
from tests.gateway.gateways import model
from tests.ollama.demands import RUNNING, SHOW, TAG, find_unmet

KNOWN = ModelFacts(
    id="gpt-oss-20b",
    source="openai/gpt-oss-20b",
    revision="abc",
    family="gpt-oss",
    parameters="20.9B, 3.6B active",
    quantization="mxfp4",
    architecture="gpt_oss",
    context_length=131072,
    embedding_length=2880,
    size=13_761_300_984,
    modified=1_760_000_000.5,
    abilities=("completion", "tools", "thinking"),
)
UNKNOWN = ModelFacts(id="m")


@pytest.mark.parametrize("facts", [KNOWN, UNKNOWN], ids=["known", "unknown"])
def test_every_demand_is_met(facts: ModelFacts) -> None:
    assert list(find_unmet(tag(facts), TAG)) == []
    assert list(find_unmet(running(facts, 1e9, 5), RUNNING)) == []
    assert list(find_unmet(show(facts), SHOW)) == []
    info = show(facts)["model_info"]
    architecture = info["general.architecture"]
    assert isinstance(info[f"{architecture}.context_length"], int)
    assert isinstance(info[f"{architecture}.embedding_length"], int)
    assert re.fullmatch("[0-9a-f]{64}", tag(facts)["digest"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", tag(facts)["modified_at"])


def test_what_is_known_is_said() -> None:
    assert tag(KNOWN)["details"] == {
        "parent_model": "",
        "format": "safetensors",
        "family": "gpt-oss",
        "families": ["gpt-oss"],
        "parameter_size": "20.9B",
        "quantization_level": "MXFP4",
    }
    shown = show(KNOWN)
    assert shown["parameters"] == "num_ctx 131072"
    assert shown["model_info"] == {
        "general.architecture": "gpt_oss",
        "general.basename": "gpt-oss-20b",
        "general.parameter_count": 20_900_000_000,
        "gpt_oss.context_length": 131072,
        "gpt_oss.embedding_length": 2880,
    }
    assert shown["capabilities"] == ["completion", "tools", "thinking"]


def test_a_digest_changes_with_the_revision_only() -> None:
    assert tag(KNOWN)["digest"] == tag(ModelFacts(id=KNOWN.id, source=KNOWN.source, revision="abc"))["digest"]
    assert tag(KNOWN)["digest"] != tag(ModelFacts(id=KNOWN.id, source=KNOWN.source, revision="def"))["digest"]


@pytest.mark.parametrize(
    ("fields", "size", "level"),
    [
        ({"source": "Qwen/Qwen3-30B-A3B-FP8"}, "30.0B", "FP8"),
        ({"source": "HuggingFaceTB/SmolLM2-135M-Instruct"}, "135.0M", "unknown"),
        ({"source": "nvidia/Qwen3-32B-NVFP4"}, "32.0B", "NVFP4"),
        ({"parameters": "1T", "source": "x/y-AWQ"}, "1000.0B", "AWQ"),
        ({"source": "google/embeddinggemma"}, "", "unknown"),
    ],
)
def test_size_and_quantization_are_found_in_names(fields: dict[str, Any], size: str, level: str) -> None:
    details = tag(ModelFacts(id="m", **fields))["details"]
    assert (details["parameter_size"], details["quantization_level"]) == (size, level)


@pytest.mark.parametrize(
    ("fields", "abilities"),
    [
        ({}, ("completion",)),
        (
            {"options": {"tool-call-parser": "hermes", "reasoning-parser": "qwen3"}},
            ("completion", "tools", "thinking"),
        ),
        ({"vision": True}, ("completion", "vision")),
        ({"options": {"runner": "pooling"}, "tags": ("embeddings",)}, ("embedding",)),
        ({"tasks": ("score",)}, ()),
        ({"source": "Qwen/Qwen2.5-Coder-7B"}, ("completion", "insert")),
    ],
)
def test_abilities(fields: dict[str, Any], abilities: tuple[str, ...]) -> None:
    assert find_abilities(model("m", **fields)) == abilities


def test_a_model_that_fills_in_text_has_a_suffix_in_its_template() -> None:
    """Continue looks for it there."""
    assert ".Suffix" in show(ModelFacts(id="m", abilities=("completion", "insert")))["template"]
    assert ".Suffix" not in show(KNOWN)["template"]


def test_the_version_is_new_enough_for_vs_code() -> None:
    version = version_document("1.2.3")
    assert tuple(map(int, version["version"].split("."))) >= (0, 6, 4)
    assert version["sparkd"] == "1.2.3"
