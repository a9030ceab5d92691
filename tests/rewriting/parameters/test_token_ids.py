"""Token ids as the input of embeddings."""

from typing import Any

import pytest

from sparkd.errors import InvalidRequest
from sparkd.rewriting import RewriteContext
from tests.rewriting.examples import model, rewrite_to_dict


@pytest.mark.parametrize("value", [[[15339, 1917]], [1, 2], [[0]]])
def test_token_ids_are_rejected_unless_the_owner_allows_them(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="check_embedding_ctx_length=False") as rejected:
        rewrite_to_dict({"input": value}, RewriteContext(model(), "embeddings"))
    assert rejected.value.param == "input"
    allowing = RewriteContext(model(token_ids=True), "embeddings")
    assert rewrite_to_dict({"input": value}, allowing) == {"input": value}


@pytest.mark.parametrize("value", ["1", ["1", "2"], [], [["a"]], None])
def test_texts_pass(value: Any) -> None:
    assert rewrite_to_dict({"input": value}, RewriteContext(model(), "embeddings")) == {"input": value}


def test_a_prompt_of_token_ids_passes() -> None:
    body = {"prompt": [1, 2, 3]}
    assert rewrite_to_dict(body, RewriteContext(model(), "completions")) == body
