"""The estimate of tokens against what tokenizers counted, on texts in 19 languages and on code."""

import json
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.rewriting.token_estimate import estimate_max_tokens, estimate_tokens

TEXTS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "vectors" / "texts.json").read_text())
HELD_OUT = [text for text in TEXTS if text["purpose"] == "held out"]


def label(text: dict[str, Any]) -> str:
    return f"{text['language']} ({text['purpose']})"


@pytest.mark.parametrize("text", HELD_OUT, ids=label)
def test_a_text_it_never_saw_is_estimated_within_forty_percent_of_what_tokenizers_count(
    text: dict[str, Any],
) -> None:
    data = text["text"].encode()
    assert estimate_tokens(data, "large").likely == pytest.approx(mean(text["large"].values()), rel=0.4)
    assert estimate_tokens(data, "small").likely == pytest.approx(mean(text["small"].values()), rel=0.4)


@pytest.mark.parametrize("text", HELD_OUT, ids=label)
def test_it_is_nearer_than_four_characters_a_token_wherever_that_is_far_off(text: dict[str, Any]) -> None:
    real = mean(text["large"].values())
    quarter = len(text["text"]) / 4
    if abs(quarter - real) > 0.25 * real:
        assert abs(estimate_tokens(text["text"].encode(), "large").likely - real) < abs(quarter - real)


@pytest.mark.parametrize("text", TEXTS, ids=label)
def test_no_tokenizer_counts_less_than_the_least(text: dict[str, Any]) -> None:
    for size in ("large", "small"):
        assert estimate_tokens(text["text"].encode(), size).least <= min(text[size].values())


def test_an_indentation_costs_little() -> None:
    assert estimate_tokens(b"\n" + b" " * 40 + b"x", "large").likely < 10


@given(st.binary() | st.text().map(str.encode))
def test_no_text_is_estimated_at_more_than_the_upper_bound_of_its_size(data: bytes) -> None:
    assert estimate_tokens(data, "large").likely <= estimate_max_tokens(len(data), "large")
    assert estimate_tokens(data, "small").likely <= estimate_max_tokens(len(data), "small")


def test_an_empty_text_has_no_tokens() -> None:
    assert estimate_tokens(b"", "large") == (0, 0)
