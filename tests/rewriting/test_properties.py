"""What holds for any JSON at all, under every rule at once."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkd.catalog.bounds import Limits
from sparkd.errors import InvalidRequest, RequestError, ToolsNotSupported
from sparkd.rewriting import JsonBody, RewriteContext, RewriteResult, rewrite
from sparkd.rewriting.parameters.known_fields import FIELDS
from sparkd.rewriting.rewrite_context import Api
from sparkd.rewriting.token_count import count_if_over, count_prompt_tokens
from tests.rewriting.examples import model

ALL_RULES: dict[str, Any] = {
    "context_length": 4096,
    "strip": ("seed",),
    "default": {"top_k": 20},
    "set": {"temperature": 0.6},
    "presets": {"m:high": {"reasoning_effort": "high"}},
    "join_text": True,
    "alternate_roles": True,
    "tool_hints": True,
    "thinking_switch": True,
    "disable_thinking": True,
}
MODELS = [
    model(**ALL_RULES, drop_images=True, tools="require"),
    model(**ALL_RULES, vision=True, tools="strip"),
    model(**ALL_RULES, tokenizer="length"),
    model(source="a/b"),
    model(source="a/b", options={}, efforts=("low", "high"), limits=Limits(stops=1)),
    model(source="a/b", tool_types=("namespace", "custom"), vision=True, media_domains=("x.example",)),
]
APIS: list[Api] = ["chat", "completions", "responses", "messages", "embeddings", "other"]
CONTEXTS = st.builds(
    RewriteContext, st.sampled_from(MODELS), st.sampled_from(APIS), st.sampled_from(["m", "m:high"])
)

RULE_FIELDS = {
    "seed",
    "top_k",
    "temperature",
    "reasoning_effort",
    "reasoningEffort",
    "reasoning",
    "thinking",
} | {
    *(
        "chat_template_kwargs",
        "messages",
        "input",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
    ),
    *("tools", "tool_choice", "functions", "function_call", "parallel_tool_calls", "model"),
    *("stop", "stop_sequences"),
    *(name for fields in FIELDS.values() for name in fields),
}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(
        [
            *("system", "user", "assistant", "tool", "text", "image_url", "array", "object", "high", "auto"),
            *("", "0.7", "4096", "true", "none", "enabled", "disabled", "function", "custom", "namespace"),
            *(
                "web_search",
                "bash_20250124",
                "tool_search",
                "allowed_tools",
                "required",
                "https://x.example/",
            ),
        ]
    )
)
KEYS = st.text(max_size=3) | st.sampled_from(
    [
        "role",
        "content",
        "type",
        "text",
        "tool_calls",
        "name",
        "function",
        "parameters",
        "properties",
        "items",
        "effort",
        "max_tokens",
        "budget_tokens",
        "image_url",
        "source",
        "url",
        "tools",
        "input_schema",
        "custom",
        "mode",
    ]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)
TEXTS = st.text("ab", min_size=1, max_size=3)
PARTS = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}), max_size=2)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": st.none() | TEXTS | PARTS},
    optional={"tool_calls": st.lists(st.fixed_dictionaries({"id": TEXTS}), max_size=2), "name": TEXTS},
)
TOOLS = st.lists(
    st.fixed_dictionaries(
        {"name": TEXTS},
        optional={
            "type": SCALARS,
            "function": st.fixed_dictionaries({"name": TEXTS}, optional={"parameters": VALUES}),
            "parameters": VALUES,
            "input_schema": VALUES,
            "tools": VALUES,
            "defer_loading": st.booleans(),
        },
    )
    | VALUES,
    max_size=3,
)
CHOICES = VALUES | st.fixed_dictionaries(
    {"type": SCALARS}, optional={"name": TEXTS, "tools": TOOLS, "mode": SCALARS}
)
BODIES = (
    st.dictionaries(st.sampled_from(sorted(RULE_FIELDS - {"model"})), VALUES, max_size=12)
    | st.fixed_dictionaries(
        {"tools": TOOLS}, optional={"tool_choice": CHOICES, "thinking": VALUES, "max_tokens": VALUES}
    )
    | st.fixed_dictionaries(
        {"messages": st.lists(MESSAGES | VALUES, max_size=6)},
        optional={"tools": st.lists(VALUES, max_size=2), "max_tokens": st.integers(), "extra": VALUES},
    )
)


def try_rewrite(context: RewriteContext, body: Any) -> RewriteResult | None:
    try:
        return rewrite(context, JsonBody.parse(json.dumps(body).encode()))
    except RequestError:
        return None


@settings(deadline=None)
@given(CONTEXTS, BODIES)
def test_rewriting_twice_is_rewriting_once(context: RewriteContext, body: dict[str, Any]) -> None:
    once = try_rewrite(context, body)
    if once is not None:
        encoded = once.body.encode()
        assert rewrite(context, JsonBody.parse(encoded)).body.encode() == encoded


@settings(deadline=None)
@given(CONTEXTS, st.dictionaries(st.text(max_size=5), VALUES), BODIES)
def test_fields_that_no_rule_names_keep_their_bytes(
    context: RewriteContext, others: dict[str, Any], body: dict[str, Any]
) -> None:
    others = {name: value for name, value in others.items() if name not in RULE_FIELDS}
    result = try_rewrite(context, {**others, **body})
    if result is not None:
        for name, value in others.items():
            if name not in body:
                assert bytes(result.body.fields[name]) == json.dumps(value).encode()


@settings(deadline=None)
@given(CONTEXTS, BODIES, st.integers(0, 2000))
def test_a_prompt_that_is_not_counted_has_no_more_tokens_than_there_is_room_for(
    context: RewriteContext, body: dict[str, Any], room: int
) -> None:
    parsed = JsonBody.parse(json.dumps(body).encode())
    count = count_prompt_tokens(context, parsed)
    beyond = count_if_over(context, parsed, room)
    assert count.total <= room if beyond is None else beyond == count


@settings(deadline=None)
@given(st.lists(MESSAGES, max_size=8))
def test_the_order_of_what_is_said_is_kept(messages: list[dict[str, Any]]) -> None:
    for number, message in enumerate(messages):
        message["content"] = f"<{number}>"
    entry = model(alternate_roles=True)
    result = rewrite(
        RewriteContext(entry), JsonBody.parse(json.dumps({"messages": messages}).encode())
    ).body.encode()
    text = json.dumps(json.loads(result)["messages"])
    systems = [f"<{number}>" for number, message in enumerate(messages) if message["role"] == "system"]
    turns = [f"<{number}>" for number, message in enumerate(messages) if message["role"] != "system"]
    places = [text.index(mark) for mark in [*systems, *turns]]
    assert places == sorted(places)


@settings(deadline=None)
@given(CONTEXTS, VALUES | st.dictionaries(st.text(max_size=3) | st.sampled_from(sorted(RULE_FIELDS)), VALUES))
def test_any_json_is_mended_or_refused(context: RewriteContext, body: Any) -> None:
    try_rewrite(context, body)


def test_deep_nesting_is_the_engines_to_judge() -> None:
    for deep in (b'{"content":[' * 300 + b"]}" * 300, b'{"items":' * 400 + b"1" + b"}" * 400):
        for entry in MODELS:
            for field in (b"messages", b"tools", b"input"):
                data = b'{"model":"m","messages":[],"%s":[%s]}' % (field, deep)
                with suppress(ToolsNotSupported):
                    rewrite(RewriteContext(entry), JsonBody.parse(data))


def test_half_a_surrogate_pair_is_no_text_and_is_refused() -> None:
    data = b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}'
    with pytest.raises(InvalidRequest):
        JsonBody.parse(data)
