"""What forms send: empty fields, numbers in quotes, numbers out of range."""

from typing import Any

import pytest

from sparkd.errors import InvalidRequest
from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import model, rewrite_request, rewrite_to_dict

GENERATING: list[Api] = ["chat", "completions", "responses", "messages"]


def rewritten(api: Api, name: str, value: Any) -> Any:
    """The field that is sent; "left out" if there is none."""
    return rewrite_to_dict({name: value}, RewriteContext(model(), api)).get(name, "left out")


@pytest.mark.parametrize("api", GENERATING)
@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k", "stream", "chat_template_kwargs"])
@pytest.mark.parametrize("value", [None, "", "  ", "null", "undefined"])
def test_a_field_that_says_nothing_is_left_out(api: Api, name: str, value: Any) -> None:
    assert rewritten(api, name, value) == "left out"


@pytest.mark.parametrize("api", GENERATING)
@pytest.mark.parametrize(
    ("name", "given", "sent"),
    [
        ("temperature", "0.7", 0.7),
        ("temperature", " 0,7 ", 0.7),
        ("top_k", "40", 40),
        ("top_k", "40.0", 40),
        ("stream", "true", True),
        ("stream", "False", False),
        ("stream", 1, True),
    ],
)
def test_a_value_in_quotes_is_read(api: Api, name: str, given: Any, sent: Any) -> None:
    result = rewritten(api, name, given)
    assert (result, type(result)) == (sent, type(sent))


@pytest.mark.parametrize(
    ("api", "name"),
    [
        ("chat", "max_tokens"),
        ("chat", "max_completion_tokens"),
        ("completions", "max_tokens"),
        ("responses", "max_output_tokens"),
        ("messages", "max_tokens"),
    ],
)
def test_a_limit_in_quotes_is_read_and_one_below_1_is_none(api: Api, name: str) -> None:
    assert rewritten(api, name, "4096") == 4096
    none = 8192 if api == "messages" else "left out"  # /v1/messages requires a limit
    assert [rewritten(api, name, value) for value in (0, -1, "0", "", None)] == [none] * 5


def test_a_limit_of_0_with_echo_scores_the_prompt() -> None:
    body = {"prompt": "a", "max_tokens": 0, "echo": True}
    assert rewrite_to_dict(body, RewriteContext(model(), "completions")) == body


@pytest.mark.parametrize(
    ("name", "given", "sent"),
    [
        ("top_p", 0, "left out"),
        ("top_p", 1.5, 1),
        ("temperature", -1, "left out"),
        ("temperature", 3, 2),
        ("presence_penalty", -3, -2),
        ("frequency_penalty", 3, 2),
        ("repetition_penalty", 0, "left out"),
        ("min_p", -0.1, "left out"),
        ("top_k", -1, -1),
        ("top_k", -2, "left out"),
        ("n", 0, "left out"),
        ("seed", -1, -1),
        ("seed", 2**64 + 5, 5),
        ("seed", "7", 7),
        ("seed", "", "left out"),
    ],
)
def test_a_number_out_of_range_becomes_the_nearest_or_is_left_out(name: str, given: Any, sent: Any) -> None:
    assert rewritten("chat", name, given) == sent


@pytest.mark.parametrize(
    ("api", "name", "given", "sent"),
    [
        ("chat", "user", 5, "5"),
        ("responses", "service_tier", "flexible", "left out"),
        ("responses", "service_tier", None, "left out"),
        ("responses", "truncation", "", "left out"),
        ("chat", "logit_bias", [], "left out"),
        ("chat", "logit_bias", {}, "left out"),
        ("chat", "bad_words", ["", "x"], ["x"]),
        ("chat", "stop_token_ids", None, "left out"),
        ("completions", "n", None, "left out"),
    ],
)
def test_other_fields(api: Api, name: str, given: Any, sent: Any) -> None:
    assert rewritten(api, name, given) == sent


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("temperature", "hot", "`temperature` must be a number."),
        ("top_k", 2.5, "`top_k` must be a whole number."),
        ("max_tokens", "many", "`max_tokens` must be a whole number of tokens."),
        ("stream", "perhaps", "`stream` must be true or false."),
        ("user", [], "`user` must be a string."),
        ("chat_template_kwargs", 5, "`chat_template_kwargs` must be an object."),
        ("stop_token_ids", 5, "`stop_token_ids` must be a list."),
    ],
)
def test_a_value_that_cannot_be_read_is_rejected_with_its_field(name: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as rejected:
        rewritten("chat", name, value)
    assert (rejected.value.message, rejected.value.param) == (message, name)


def test_fields_that_the_api_does_not_have_are_not_read() -> None:
    body = {"n": "x", "top_p": 0.5, "custom": None}
    assert rewrite_to_dict(body, RewriteContext(model(), "messages")) == body


def test_the_owner_can_switch_it_off() -> None:
    body = {"temperature": "", "n": None}
    assert rewrite_to_dict(body, RewriteContext(model(form_values=False))) == body


def test_the_rule_is_named_only_if_it_changed_something() -> None:
    assert rewrite_request({"temperature": 0.5}, RewriteContext(model())).rewrites == ()
    assert rewrite_request({"temperature": "0.5"}, RewriteContext(model())).rewrites == ("form-values",)
