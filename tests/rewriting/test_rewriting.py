"""Bodies are read once, changed where a rule says so, and otherwise left alone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.catalog.definitions import Model
from sparkd.errors import InvalidRequest
from sparkd.rewriting import JsonBody, RewriteContext, rewrite
from sparkd.rewriting.parameters.known_fields import FIELDS
from sparkd.rewriting.tools import TOOL_FIELDS

MODEL = Model(
    id="smollm2",
    aliases=("small",),
    idle_timeout=1,
    start_timeout=1,
    stop_grace=1,
    drain_timeout=1,
    min_residency=1,
    download="reject",
)


def encoded(body: JsonBody) -> bytes | bytearray:
    return rewrite(RewriteContext(MODEL), body).body.encode()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_the_model_is_found_wherever_it_stands_in_the_object() -> None:
    assert JsonBody.parse(b'{"model": "a"}').model == "a"
    assert JsonBody.parse(b'{"messages": [{"model": "no"}], "model": "yes"}').model == "yes"
    assert JsonBody.parse(b'{"model": "caf\\u00e9"}').model == "caf\u00e9"


def test_a_body_without_a_model_has_none() -> None:
    assert JsonBody.parse(b"{}").model is None
    assert JsonBody.parse(b'{"model": null}').model is None


def test_of_a_model_named_twice_the_last_counts_as_it_does_for_the_engine() -> None:
    data = b'{"model": "a", "model": "b"}'
    assert JsonBody.parse(data).model == json.loads(data)["model"] == "b"


def test_a_body_that_already_says_the_id_passes_as_the_same_object() -> None:
    data = b'{ "model" : "smollm2" , "messages" : [] }'
    assert encoded(JsonBody.parse(data)) is data


def test_an_alias_becomes_the_id() -> None:
    assert encoded(JsonBody.parse(b'{"model":"small","n":1}')) == b'{"model":"smollm2","n":1}'


def test_a_model_named_in_the_path_is_written_into_the_body() -> None:
    assert json.loads(encoded(JsonBody.parse(b'{"n":1}'))) == {"n": 1, "model": "smollm2"}
    assert encoded(JsonBody.parse(b"{}")) == b'{"model":"smollm2"}'


def test_values_that_are_not_touched_keep_their_exact_bytes() -> None:
    values = b'"a":1.10000000000000000001,"b":[ 1 ,2],"c":"\\u00e9\xc3\xa9\\/","d":1e400'
    assert encoded(JsonBody.parse(b'{"model":"x",' + values + b"}")) == (
        b'{"model":"smollm2",' + values + b"}"
    )


NOT_UTF_8 = (
    "The body is not in UTF-8: byte %s at position %s is not valid there. "
    "Send JSON in UTF-8, not in Latin-1 or another encoding."
)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The request has no body; expected a JSON object."),
        (b"[1]", "The body is not a JSON object."),
        (b'"text"', "The body is not a JSON object."),
        (b"model=a", "The body is not JSON: JSON is malformed: invalid character (byte 0)."),
        (b'{"model":"a"', "The body is not JSON: Input data was truncated."),
        (b'{"model":"a"} {}', "The body is not JSON: JSON is malformed: trailing characters (byte 15)."),
        (b'{"\xff":1}', NOT_UTF_8 % ("0xff", "2")),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "The body is nested too deeply."),
        (b'{"model":3}', "`model` must be a string, the name of a model."),
        (b'{"model":["a"]}', "`model` must be a string, the name of a model."),
        (b'{"model":"\xff"}', NOT_UTF_8 % ("0xff", "10")),
        (b"\xff\xfe{\0}\0", "The body is in UTF-16. Send JSON in UTF-8."),
        (b"{\0}\0", "The body is in UTF-16. Send JSON in UTF-8."),
        (b"\0\0\0{\0\0\0}", "The body is in UTF-32. Send JSON in UTF-8."),
        (b"\xef\xbb\xbf", "The request has no body; expected a JSON object."),
    ],
)
def test_a_body_that_is_no_request_is_refused_in_one_clear_sentence(data: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        JsonBody.parse(data)
    assert refused.value.message == message


def test_a_wrong_model_is_named_as_the_parameter_at_fault() -> None:
    with pytest.raises(InvalidRequest) as refused:
        JsonBody.parse(b'{"model":3}')
    assert refused.value.param == "model"


@given(st.dictionaries(st.text(), JSON_VALUES))
def test_rewriting_changes_the_model_and_nothing_else(fields: dict[str, object]) -> None:
    changed = {"model", "stop", *FIELDS["chat"], *TOOL_FIELDS}
    fields = {name: value for name, value in fields.items() if name not in changed}
    data = json.dumps({**fields, "model": "small"}).encode()
    assert json.loads(encoded(JsonBody.parse(data))) == {**fields, "model": "smollm2"}


@given(st.binary())
def test_no_bytes_make_parsing_fail_in_any_other_way(data: bytes) -> None:
    try:
        JsonBody.parse(data)
    except InvalidRequest:
        return
