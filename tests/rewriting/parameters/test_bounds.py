"""What is too much for one request."""

from typing import Any

import pytest

from sparkd.catalog.bounds import Limits
from sparkd.errors import InvalidRequest
from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import model, rewrite_to_dict


@pytest.mark.parametrize(
    ("api", "body", "key", "bound"),
    [
        ("chat", {"n": 16000}, "n", 16),
        ("completions", {"best_of": 17}, "n", 16),
        ("chat", {"logit_bias": {str(token): 1 for token in range(1025)}}, "logit_bias", 1024),
        ("responses", {"logit_bias": {str(token): 1 for token in range(1025)}}, "logit_bias", 1024),
        ("chat", {"stop_token_ids": [1] * 2000}, "logit_bias", 1024),
        ("chat", {"logprobs": True, "top_logprobs": 21}, "logprobs", 20),
        ("responses", {"top_logprobs": 21}, "logprobs", 20),
        ("completions", {"logprobs": 100}, "logprobs", 20),
        ("chat", {"prompt_logprobs": -1}, "prompt_logprobs", 20),
        ("completions", {"prompt_logprobs": "50"}, "prompt_logprobs", 20),
        ("completions", {"prompt": ["a"] * 257}, "prompts", 256),
        ("embeddings", {"input": ["a"] * 2049}, "inputs", 2048),
        ("messages", {"max_tokens": 2**21}, "tokens", 2**20),
        ("responses", {"max_output_tokens": 2**21}, "tokens", 2**20),
    ],
)
def test_more_than_the_bound_is_rejected_with_the_bound_and_its_key(
    api: Api, body: dict[str, Any], key: str, bound: int
) -> None:
    with pytest.raises(InvalidRequest) as rejected:
        rewrite_to_dict(body, RewriteContext(model("house"), api))
    assert f'"house" allows at most {bound:,}. ' in rejected.value.message
    assert f"`rewriting.limits.{key}`" in rejected.value.message
    assert rejected.value.param == list(body)[-1]


def test_the_owner_sets_the_bounds() -> None:
    roomy = model(limits=Limits(n=16000, prompt_logprobs=0))
    assert rewrite_to_dict({"n": 16000}, RewriteContext(roomy)) == {"n": 16000}
    with pytest.raises(InvalidRequest):
        rewrite_to_dict({"prompt_logprobs": 1}, RewriteContext(roomy))


@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("chat", {"n": 16}),
        ("messages", {"n": 16000}),
        ("completions", {"prompt": [1] * 5000}),
        ("completions", {"prompt": "a" * 5000}),
        ("embeddings", {"input": "a" * 5000}),
        ("chat", {"max_tokens": 10**9}),
    ],
)
def test_what_is_not_too_much_passes(api: Api, body: dict[str, Any]) -> None:
    entry = model(context_length=4096) if "max_tokens" in body else model()
    assert rewrite_to_dict(body, RewriteContext(entry, api)).keys() >= body.keys()
