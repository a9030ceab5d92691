"""Stop strings."""

from typing import Any

import pytest

from sparkd.catalog.bounds import Limits
from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import model, rewrite_request, rewrite_to_dict

FIELDS: list[tuple[Api, str]] = [
    ("chat", "stop"),
    ("completions", "stop"),
    ("responses", "stop"),
    ("messages", "stop_sequences"),
]


@pytest.mark.parametrize(("api", "name"), FIELDS)
@pytest.mark.parametrize("value", [[], [""], ["", ""], [None], None, "", 5, {}])
def test_stops_that_are_none_are_left_out(api: Api, name: str, value: Any) -> None:
    assert rewrite_to_dict({name: value}, RewriteContext(model(), api)) == {}


@pytest.mark.parametrize(("api", "name"), FIELDS)
def test_six_stops_stay_six(api: Api, name: str) -> None:
    body = {name: ["a", "b", "c", "d", "e", "f"]}
    result = rewrite_request(body, RewriteContext(model(), api))
    assert result.rewrites == ()
    assert rewrite_to_dict(body, RewriteContext(model(), api)) == body


@pytest.mark.parametrize(("api", "name"), FIELDS)
def test_empty_and_repeated_stops_and_the_last_of_too_many_are_left_out(api: Api, name: str) -> None:
    few = model(limits=Limits(stops=2))
    result = rewrite_to_dict({name: ["a", "", "a", "b", "c"]}, RewriteContext(few, api))
    assert result == {name: ["a", "b"]}


def test_a_single_stop_is_a_text_or_a_list_as_the_api_has_it() -> None:
    assert rewrite_to_dict({"stop": "x"}, RewriteContext(model())) == {"stop": "x"}
    context = RewriteContext(model(), "messages")
    assert rewrite_to_dict({"stop_sequences": "x"}, context) == {"stop_sequences": ["x"]}
