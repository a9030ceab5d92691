"""Fields of one API, or of one engine: completed, left out, or rejected before a start."""

from typing import Any

import pytest
from msgspec import structs

from sparkd.errors import InvalidRequest
from sparkd.rewriting import JsonBody, RewriteContext
from sparkd.rewriting.prompt_check import check_prompt
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import model, rewrite_to_dict

VLLM = model(source="a/b")
USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"include": "reasoning.encrypted_content"}, {"include": ["reasoning.encrypted_content"]}),
        (
            {"include": ["web_search_call.action.sources", "file_search_call.results"]},
            {"include": ["file_search_call.results"]},
        ),
        ({"include": ["foo"]}, {}),
        ({"reasoning": {"effort": "low", "summary": "none"}}, {"reasoning": {"effort": "low"}}),
        ({"text": {"verbosity": "huge"}}, {}),
        ({"text": {"verbosity": "low"}}, {"text": {"verbosity": "low"}}),
    ],
)
def test_names_that_engines_do_not_know_are_left_out(given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert rewrite_to_dict({"input": "hi", **given}, RewriteContext(model(), "responses")) == {
        "input": "hi",
        **sent,
    }


@pytest.mark.parametrize(
    "given",
    [
        {"previous_response_id": "resp_1"},
        {"background": True},
        {"conversation": "conv_1"},
        {"prompt": {"id": "p"}},
    ],
)
def test_what_needs_another_vendors_store_is_rejected(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="`input`") as caught:
        rewrite_to_dict({"input": "hi", **given}, RewriteContext(VLLM, "responses"))
    assert caught.value.param in given


def test_with_a_store_the_engine_knows_earlier_responses() -> None:
    stores = structs.replace(VLLM, environment={"VLLM_ENABLE_RESPONSES_API_STORE": "1"})
    body = {"input": "hi", "previous_response_id": "resp_1"}
    assert rewrite_to_dict(body, RewriteContext(stores, "responses")) == body


@pytest.mark.parametrize("api", ["chat", "messages", "responses"])
def test_arguments_of_the_template_that_the_engine_sets_are_left_out(api: Api) -> None:
    body = {"chat_template_kwargs": {"messages": [], "tokenize": False, "thinking": True}}
    assert rewrite_to_dict(body, RewriteContext(model(), api)) == {"chat_template_kwargs": {"thinking": True}}


@pytest.mark.parametrize(
    "given", [{"chat_template": "{{ 1 }}"}, {"chat_template_kwargs": {"chat_template": "x"}}]
)
def test_a_clients_chat_template_is_rejected_unless_the_engine_trusts_it(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="trust-request-chat-template"):
        rewrite_to_dict(given, RewriteContext(VLLM))
    trusting = model(source="a/b", options={"trust-request-chat-template": True})
    assert rewrite_to_dict(given, RewriteContext(trusting)) == given


def test_a_bias_for_a_text_is_rejected() -> None:
    with pytest.raises(InvalidRequest, match="token ids"):
        rewrite_to_dict({"logit_bias": {"hello": 5}}, RewriteContext(VLLM))
    assert rewrite_to_dict({"logit_bias": {"5": 5}}, RewriteContext(VLLM)) == {"logit_bias": {"5": 5}}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"n": 2, "temperature": 0}, {"n": 2, "temperature": 0.01}),
        ({"n": 1, "temperature": 0}, {"n": 1, "temperature": 0}),
        ({"min_tokens": 100, "max_tokens": 5}, {"min_tokens": 5, "max_tokens": 5}),
        ({"structured_outputs": {"json": None}}, {}),
        ({"structured_outputs": {"choice": ["a"]}}, {"structured_outputs": {"choice": ["a"]}}),
        ({"allowed_token_ids": []}, {}),
        ({"continue_final_message": True}, {"continue_final_message": True, "add_generation_prompt": False}),
    ],
)
def test_fields_that_exclude_each_other(given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert rewrite_to_dict(given, RewriteContext(model())) == sent


def test_a_number_of_thousands_of_digits_is_rejected() -> None:
    with pytest.raises(InvalidRequest, match="`seed` must be a whole number"):
        rewrite_to_dict({"seed": int("9" * 4000)}, RewriteContext(model()))


def test_vllm_requires_a_limit_in_messages() -> None:
    body = {"messages": [USER]}
    assert rewrite_to_dict(body, RewriteContext(VLLM, "messages")) == {**body, "max_tokens": 8192}
    assert rewrite_to_dict(body, RewriteContext(model(), "messages")) == body


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"name": "f", "description": 5}, {"description": "5"}),
        ({"name": "f", "parameters": '{"type": "object", "properties": {}}'}, {}),
        ({"name": "f", "parameters": True}, {}),
        ({"name": "f", "allowed_callers": ["x"], "defer_loading": "x", "output_schema": "x"}, {}),
    ],
)
def test_what_engines_reject_of_a_function_is_left_out(given: dict[str, Any], sent: dict[str, Any]) -> None:
    expected = {"name": "f", "parameters": {"type": "object", "properties": {}}, **sent}
    body = {
        "tools": [{"type": "function", "function": given}, {"type": "function", "function": {"strict": True}}]
    }
    assert rewrite_to_dict(body, RewriteContext(model()))["tools"] == [
        {"type": "function", "function": expected}
    ]
    flat = rewrite_to_dict({"tools": [{"type": "function", **given}]}, RewriteContext(model(), "responses"))
    assert flat["tools"] == [{"type": "function", **expected}]


@pytest.mark.parametrize(
    ("api", "body", "param"),
    [
        *(("chat", body, "messages") for body in (b"{}", b'{"messages": []}', b'{"messages": null}')),
        *(("messages", body, "messages") for body in (b"{}", b'{"messages": []}', b'{"messages": 3}')),
        *(("responses", body, "input") for body in (b"{}", b'{"input": []}', b'{"input": 5}')),
        *(("completions", body, "prompt") for body in (b"{}", b'{"prompt": ""}', b'{"prompt": []}')),
    ],
)
def test_a_request_that_says_nothing_is_rejected(api: Api, body: bytes, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_prompt(RewriteContext(VLLM, api), JsonBody.parse(body))
    assert caught.value.param == param
    check_prompt(RewriteContext(model(), api), JsonBody.parse(body))


@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("chat", b'{"messages": [{}]}'),
        ("responses", b'{"input": ""}'),
        ("responses", b'{"instructions": "x"}'),
        ("completions", b'{"prompt": [1]}'),
        ("completions", b'{"prompt_embeds": "x"}'),
        ("embeddings", b"{}"),
        ("other", b"{}"),
    ],
)
def test_any_other_passes(api: Api, body: bytes) -> None:
    check_prompt(RewriteContext(VLLM, api), JsonBody.parse(body))
