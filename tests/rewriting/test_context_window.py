"""The context: what cannot fit is refused before anything starts, and limits stay within what is left."""

import json
from typing import Any

import pytest

from sparkd.errors import ContextExceeded, InvalidRequest
from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import model, rewrite_request, rewrite_to_dict

SMALL = model("small", context_length=4096)
LARGE = model("large", context_length=65536)
LARGER = model("larger", context_length=131072)
OFF = model("off", context_length=65536)
WORDS = "The keeper climbed the stairs every evening and cleaned the lamp. "
HELLO = [{"role": "user", "content": "Hello"}]


def chat(count: int, text: str = WORDS) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text * count}]}


def refusal(body: dict[str, Any], context: RewriteContext) -> ContextExceeded:
    with pytest.raises(ContextExceeded) as refused:
        rewrite_request(body, context)
    return refused.value


def test_a_prompt_that_cannot_fit_is_refused_with_the_sum_the_limit_and_the_model_that_would_do() -> None:
    error = refusal(chat(1000), RewriteContext(SMALL, alternatives=[SMALL, LARGER, LARGE]))
    assert error.status == 400
    assert (error.type, error.code, error.param) == (
        "invalid_request_error",
        "context_length_exceeded",
        "messages",
    )
    assert error.message.startswith("The prompt has about 1")
    assert error.message.endswith('tokens, but "small" takes 4,096. "large" takes 65,536.')


def test_the_shares_of_tools_and_images_are_told() -> None:
    body = chat(1000) | {"tools": [{"type": "function", "function": {"name": "f"}}]}
    body["messages"].append(
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}],
        }
    )
    error = refusal(
        body, RewriteContext(model("small", context_length=4096, vision=True), alternatives=[SMALL, LARGE])
    )
    assert " in messages, " in error.message
    assert " in tools, 1,500 in images), but " in error.message
    assert error.message.endswith("No model here takes that many.")


def test_a_prompt_counted_exactly_is_told_exactly() -> None:
    error = refusal({"messages": HELLO}, RewriteContext(SMALL, exact_tokens=4096, alternatives=[]))
    assert (
        error.message
        == 'The prompt has 4,096 tokens, but "small" takes 4,096. No model here takes that many.'
    )


@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("chat", {"messages": [{"role": "user", "content": [{"type": "text", "text": WORDS * 1000}]}]}),
        ("chat", {"messages": HELLO, "tools": [{"function": {"name": "f", "description": WORDS * 1000}}]}),
        (
            "chat",
            {
                "messages": [
                    {
                        "role": "assistant",
                        "tool_calls": [
                            {"function": {"name": "f", "arguments": json.dumps({"a": WORDS * 1000})}}
                        ],
                    }
                ]
            },
        ),
        ("completions", {"prompt": WORDS * 1000}),
        ("completions", {"prompt": ["short", WORDS * 1000]}),
        ("completions", {"prompt": [1] * 5000}),
        ("completions", {"prompt": [[1], [1] * 5000]}),
        ("responses", {"input": WORDS * 1000}),
        (
            "responses",
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": WORDS * 1000}]}]},
        ),
        ("responses", {"instructions": WORDS * 1000, "input": "Hello"}),
        ("messages", {"system": WORDS * 1000, "messages": HELLO, "max_tokens": 5}),
        ("messages", {"messages": [{"role": "user", "content": [{"type": "text", "text": WORDS * 1000}]}]}),
    ],
)
def test_everything_that_is_said_counts_in_every_api(api: Api, body: dict[str, Any]) -> None:
    refusal(body, RewriteContext(SMALL, api))


@pytest.mark.parametrize(
    ("text", "count"),
    [("مصباح المنارة القديم ", 1500), ("灯塔的灯很亮。", 3000), ("deniz fenerinin ışığı ", 2000)],
)
def test_scripts_with_more_tokens_per_character_are_not_underestimated(text: str, count: int) -> None:
    refusal(chat(count, text), RewriteContext(SMALL))


def test_several_prompts_need_not_fit_together() -> None:
    rewrite_request({"prompt": [WORDS * 100] * 20}, RewriteContext(SMALL, "completions"))


def test_tools_that_are_taken_out_do_not_count() -> None:
    body = {"messages": HELLO, "tools": [{"function": {"name": "f", "description": WORDS * 1000}}]}
    rewrite_request(body, RewriteContext(model(context_length=4096, tools="strip")))


def test_a_limit_beyond_what_is_left_is_lowered_in_both_fields() -> None:
    result = rewrite_to_dict({"messages": HELLO, "max_tokens": 10**9}, RewriteContext(SMALL))
    assert result["max_tokens"] == result["max_completion_tokens"]
    assert 3400 < result["max_tokens"] < 4096 - 512


def test_the_newer_field_counts_first_and_null_says_nothing() -> None:
    assert (
        rewrite_to_dict(
            {"messages": HELLO, "max_tokens": 9, "max_completion_tokens": 5}, RewriteContext(SMALL)
        )["max_tokens"]
        == 5
    )
    body = {"messages": HELLO, "max_tokens": 9, "max_completion_tokens": None}
    assert rewrite_to_dict(body, RewriteContext(SMALL))["max_completion_tokens"] == 9


@pytest.mark.parametrize("asked", [0, -1, None])
def test_no_limit_or_one_that_makes_no_sense_becomes_what_is_left(asked: int | None) -> None:
    assert (
        rewrite_to_dict({"messages": HELLO, "max_tokens": asked}, RewriteContext(SMALL))["max_tokens"] > 3000
    )


def test_a_margin_of_the_owners_is_kept() -> None:
    exact = RewriteContext(model(context_length=4096, margin=1000, tokenizer="length"))
    assert rewrite_to_dict({"messages": []}, exact)["max_tokens"] == 4096 - 500 - 1000


@pytest.mark.parametrize("wrong", ["ten", "1.5", 1.5, True, [], {}])
def test_a_limit_that_is_no_whole_number_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        rewrite_request({"messages": HELLO, "max_tokens": wrong}, RewriteContext(SMALL))
    assert refused.value.param == "max_tokens"
    assert refused.value.message == "`max_tokens` must be a whole number of tokens."


def test_a_whole_number_written_as_a_fraction_is_one() -> None:
    assert rewrite_to_dict({"messages": HELLO, "max_tokens": 5.0}, RewriteContext(SMALL))["max_tokens"] == 5


@pytest.mark.parametrize(
    ("api", "name"),
    [("completions", "max_tokens"), ("responses", "max_output_tokens"), ("messages", "max_tokens")],
)
def test_other_apis_have_their_own_limit_lowered_and_get_none_of_the_chats_fields(
    api: Api, name: str
) -> None:
    assert rewrite_to_dict({"input": "a", name: 5}, RewriteContext(SMALL, api)) == {"input": "a", name: 5}
    assert rewrite_to_dict({"input": "a", name: 10**6}, RewriteContext(SMALL, api))[name] < 4096
    assert rewrite_to_dict({"input": "a"}, RewriteContext(SMALL, api)) == {"input": "a"}


def test_embeddings_and_the_like_are_left_alone() -> None:
    body = {"input": WORDS * 1000, "max_tokens": "x"}
    assert rewrite_to_dict(body, RewriteContext(SMALL, "other")) == body


def test_without_a_known_context_or_with_the_cap_off_nothing_is_counted() -> None:
    body = chat(1000) | {"max_tokens": 10**6}
    assert rewrite_to_dict(body, RewriteContext(model())) == body
    assert rewrite_to_dict(body, RewriteContext(model(context_length=10, cap_tokens=False))) == body
