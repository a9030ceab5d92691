"""What holds for any JSON at all, under every rule at once."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from sparkd.catalog.bounds import Limits
from sparkd.catalog.templates import Template
from sparkd.errors import RequestError, ToolsNotSupported
from sparkd.rewriting import JsonBody, RewriteContext, RewriteResult, rewrite
from sparkd.rewriting.parameters.known_fields import FIELDS
from sparkd.rewriting.rewrite_context import Api
from sparkd.rewriting.rules import trace_rules
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
    model(drop_images=True),
    model(vision=True, tool_hints=True),
    model(alternate_roles=True, repair_history=False),
    model(source="a/b"),
    model(source="a/b", options={}, efforts=("low", "high"), limits=Limits(stops=1)),
    model(source="a/b", tool_types=("namespace", "custom"), vision=True, media_domains=("x.example",)),
]
APIS: list[Api] = ["chat", "completions", "responses", "messages", "embeddings", "other"]
UNKNOWN = st.sampled_from([None, True, False])
TEMPLATES = st.builds(
    Template,
    system=st.sampled_from([None, "anywhere", "first", "none"]),
    developer=UNKNOWN,
    needs_user=UNKNOWN,
    alternates=UNKNOWN,
    empty_assistant=UNKNOWN,
    null_content=UNKNOWN,
    short_call_ids=UNKNOWN,
)
CONTEXTS = st.builds(
    RewriteContext,
    st.sampled_from(MODELS),
    st.sampled_from(APIS),
    st.sampled_from(["m", "m:high"]),
    template=TEMPLATES,
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
        "system",
        "instructions",
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
IDS = st.sampled_from(["a", "b", "c", "abcdefghi", "", None, 3])
ARGUMENTS = st.sampled_from(['{"a": 1}', '{"a": "x', "", "null", "[1]", '"{}"']) | VALUES
CALLS = st.fixed_dictionaries(
    {}, optional={"id": IDS, "function": st.fixed_dictionaries({"name": SCALARS, "arguments": ARGUMENTS})}
)
PART_TYPES = ["text", "input_text", "output_text", "image_url", "input_image", "image", "file", "document"]
PART_TYPES += ["thinking", "redacted_thinking", "tool_use", "tool_result", "server_tool_use", "weird"]
LEAF_PARTS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(PART_TYPES),
        "text": SCALARS,
        "thinking": SCALARS,
        "signature": SCALARS,
        "id": IDS,
        "tool_use_id": IDS,
        "input": ARGUMENTS,
        "image_url": SCALARS | st.just({"url": "https://x/y"}),
        "source": st.sampled_from([None, {"type": "text", "data": "a"}, {"type": "base64", "data": "YQ=="}]),
        "annotations": st.just([]),
    },
)
NESTED_PARTS = st.builds(
    lambda part, inner: {**part, "content": inner}, LEAF_PARTS, SCALARS | st.lists(LEAF_PARTS, max_size=2)
)
CONTENTS = SCALARS | LEAF_PARTS | st.lists(LEAF_PARTS | NESTED_PARTS | SCALARS, max_size=3)
ITEM_TYPES = [
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "item_reference",
    "weird",
    None,
]
ITEM_TYPES += [
    "custom_tool_call",
    "custom_tool_call_output",
    "web_search_call",
    "local_shell_call",
    "mcp_call",
]
TURNS = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
        "type": st.sampled_from(ITEM_TYPES),
        "content": CONTENTS,
        "output": CONTENTS,
        "summary": CONTENTS,
        "tool_calls": st.lists(CALLS | VALUES, max_size=3) | SCALARS,
        "name": SCALARS,
        "refusal": SCALARS,
        "reasoning": SCALARS,
        "tool_call_id": IDS,
        "call_id": IDS,
        "id": IDS,
        "status": SCALARS,
        "arguments": ARGUMENTS,
    },
)
HISTORIES = st.fixed_dictionaries(
    {},
    optional={
        "messages": st.lists(TURNS | VALUES, max_size=6),
        "input": st.lists(TURNS | VALUES, max_size=6),
        "system": CONTENTS,
        "instructions": SCALARS,
    },
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
    | HISTORIES
)


def try_rewrite(context: RewriteContext, body: Any) -> RewriteResult | None:
    try:
        return rewrite(context, JsonBody.parse(json.dumps(body).encode()))
    except RequestError:
        return None


@settings(deadline=None)
@given(CONTEXTS, BODIES)
@example(RewriteContext(MODELS[0], "messages"), {"system": {"type": "image_url"}})
def test_rewriting_twice_is_rewriting_once(context: RewriteContext, body: dict[str, Any]) -> None:
    once = try_rewrite(context, body)
    if once is not None:
        encoded = once.body.encode()
        again = rewrite(context, JsonBody.parse(encoded))
        assert again.body.encode() == encoded, again.rewrites


def try_every_rule(context: RewriteContext, body: Any) -> bytes | None:
    data = b""
    try:
        for _, after in trace_rules(context, JsonBody.parse(json.dumps(body).encode())):
            data = bytes(after.encode())
    except RequestError:
        return None
    return data


@settings(deadline=None)
@given(CONTEXTS, BODIES)
def test_a_rule_that_is_left_out_would_change_nothing(context: RewriteContext, body: dict[str, Any]) -> None:
    result = try_rewrite(context, body)
    assert (bytes(result.body.encode()) if result else None) == try_every_rule(context, body)


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


def make_turn(api: Api, role: str, mark: str) -> dict[str, Any]:
    if role != "tool":
        return {"role": role, "content": mark}
    if api == "messages":
        return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": mark}]}
    if api == "responses":
        return {"type": "function_call_output", "call_id": "a", "output": mark}
    return {"role": "tool", "tool_call_id": "a", "content": mark}


ROLES = st.sampled_from(["system", "developer", "user", "assistant", "tool"])


@settings(deadline=None)
@given(TEMPLATES, st.sampled_from(["chat", "responses", "messages"]), st.lists(ROLES, max_size=8))
@example(Template(system="anywhere", alternates=True), "chat", ["user", "system"])
def test_whatever_the_template_accepts_the_order_is_kept(
    template: Template, api: Api, roles: list[str]
) -> None:
    marks = [f"<{number}>" for number in range(len(roles))]
    turns = [make_turn(api, role, mark) for role, mark in zip(roles, marks, strict=True)]
    body = {"input" if api == "responses" else "messages": turns}
    sent = rewrite(RewriteContext(model(), api, template=template), JsonBody.parse(json.dumps(body).encode()))
    fields = json.loads(sent.body.encode())
    text = json.dumps([fields.get(name) for name in ("system", "instructions", "messages", "input")])
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)


@settings(deadline=None)
@given(TEMPLATES, st.lists(st.sampled_from(["user", "assistant"]), min_size=1, max_size=6), st.integers(0, 6))
def test_turns_beside_a_broken_one_keep_their_bytes(template: Template, roles: list[str], place: int) -> None:
    turns = [b'{ "role":"%s" , "content" :"\\u0061 %d"}' % (role.encode(), i) for i, role in enumerate(roles)]
    given_turns = [*turns[:place], b'{"role":"user","content":3}', *turns[place:]]
    body = b'{"model":"m","messages":[' + b" , ".join(given_turns) + b"]}"
    free = structs.replace(template, alternates=False)
    sent = bytes(rewrite(RewriteContext(model(), template=free), JsonBody.parse(body)).body.encode())
    assert all(turn in sent for turn in turns)
    assert b'"content":"3"' in sent
