"""Every field but the conversation: tools, efforts, stops, values from forms, formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.e2e.agents.case import Case, chat, completion, messages, responses

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
NESTED = {
    "$defs": {"P": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
    "type": "object",
    "properties": {"p": {"$ref": "#/$defs/P"}},
    "additionalProperties": False,
}
FUNCTION: dict[str, Any] = {"type": "function", "function": {"name": "lookup", "parameters": SCHEMA}}
FLAT = {"type": "function", "name": "lookup", "parameters": SCHEMA}
ANTHROPICS = {"name": "lookup", "input_schema": SCHEMA}


def list_tools() -> Iterator[Case]:
    """No tools, tools of other vendors' servers, and unusual ones."""
    for build in (chat, responses):
        yield build("an empty list of tools", tools=[], rules="tool-choice")
        yield build("a choice without tools", tools=[], tool_choice="auto", rules="tool-choice")
        yield build("a choice alone", tool_choice="auto", rules="tool-choice")
    yield messages("a choice without tools", tools=[], tool_choice={"type": "auto"}, rules="tool-choice")
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
    yield messages("a web search", tools=[search, ANTHROPICS], rules="tool-types")
    yield messages("only a web search", tools=[search], rules="tool-types")
    for kind in ("custom", "web_search", "image_generation", "local_shell"):
        yield responses(f"the tool {kind}", tools=[{"type": kind, "name": "x"}, FLAT], rules="tool-types")
    namespace = {"type": "namespace", "name": "mcp__files", "tools": [FLAT]}
    yield responses("a namespace", tools=[namespace], rules="tool-types")
    for name in ("mcp.files/read", "a" * 100, "with space"):
        yield chat(
            f"the name {name[:20]}",
            tools=[{"type": "function", "function": {**FUNCTION["function"], "name": name}}],
        )
        yield responses(f"the name {name[:20]}", tools=[{**FLAT, "name": name}])
        yield messages(f"the name {name[:20]}", tools=[{**ANTHROPICS, "name": name}])
    for label, schema in (("null", None), ("a text", '{"type": "object"}'), ("true", True)):
        function = {"name": "lookup", "parameters": schema, "strict": None, "description": None}
        yield chat(
            f"a schema: {label}", tools=[{"type": "function", "function": function}], rules="tool-schemas"
        )
        yield responses(f"a schema: {label}", tools=[{"type": "function", **function}], rules="tool-schemas")
        yield messages(
            f"a schema: {label}", tools=[{"name": "x", "input_schema": schema}], rules="tool-schemas"
        )
    yield chat(
        "nested schemas, twice",
        tools=[{"type": "function", "function": {"name": "x", "parameters": NESTED}}] * 2,
    )
    yield responses("a chat's tool", tools=[FUNCTION], rules="tool-types")
    yield messages("a chat's tool", tools=[FUNCTION], rules="tool-types")
    yield chat("a nameless tool", tools=[{"type": "function", "function": {}}, FUNCTION], rules="tool-types")
    yield responses(
        "a choice of another vendor's tool",
        tools=[FLAT],
        tool_choice={"type": "web_search"},
        rules="tool-choice",
    )


def list_stops() -> Iterator[Case]:
    """Stop strings: empty, null, many."""
    for label, value in (("empty", [""]), ("none", []), ("null", None)):
        yield chat(f"stop: {label}", stop=value)
        yield completion(f"stop: {label}", stop=value)
        yield messages(f"stop_sequences: {label}", stop_sequences=value)
    yield chat("six stops", stop=list("uvwxyz"), answer=None)
    yield completion("six stops", stop=list("uvwxyz"))
    yield messages("six stops", stop_sequences=list("uvwxyz"), answer=None)


def list_forms() -> Iterator[Case]:
    """Values as forms send them."""
    values: dict[str, Any] = {"top_p": 0, "temperature": "0.7"}
    yield chat(
        "a form", rules="form-values dependent-fields", **values, n=None, stream_options=None, top_logprobs=5
    )
    yield chat("numbers in quotes", max_tokens="40", rules="form-values", seed="42", presence_penalty="0")
    yield chat("blanks", rules="form-values", top_p="", max_completion_tokens="", user=None, logit_bias={})
    yield completion("a form", rules="form-values", **values, n=None)
    yield completion("blanks", max_tokens="4", top_p="", rules="form-values")
    yield responses("a form", rules="form-values", **values, metadata=None, store="true")
    yield responses("numbers in quotes", max_output_tokens="40", rules="form-values", top_p="")
    yield messages("a form", rules="form-values", **values)
    yield messages("numbers in quotes", max_tokens="40", top_p="", metadata=None, rules="form-values")
    yield chat("two at temperature 0", n=2, temperature=0, rules="dependent-fields", answer=None)
    yield chat(
        "at least more than at most", max_tokens=5, min_tokens=100, rules="dependent-fields", answer=None
    )
    everything: dict[str, Any] = {
        "modalities": ["text"],
        "prediction": {"type": "content", "content": "x"},
        "web_search_options": {},
    }
    yield chat(
        "OpenAI's other fields",
        service_tier="auto",
        verbosity="low",
        store=True,
        safety_identifier="u",
        **everything,
    )
    yield messages(
        "Anthropic's other fields", betas=["x"], metadata={"user_id": "u"}, container="c", mcp_servers=[]
    )
    include = ["reasoning.encrypted_content", "web_search_call.action.sources"]
    yield responses(
        "OpenAI's other fields",
        include=include,
        reasoning={"effort": "low", "summary": "none"},
        prompt_cache_key="k",
        rules="responses-fields",
        text={"verbosity": "huge"},
    )


def list_formats() -> Iterator[Case]:
    """Formats of the response in other APIs' shapes."""
    for label, given in (
        ("without a name", {"type": "json_schema", "json_schema": {"schema": SCHEMA}}),
        ("flat", {"type": "json_schema", "schema": SCHEMA}),
        ("json", {"type": "json"}),
    ):
        yield chat(f"a format {label}", response_format=given, rules="formats", answer=None)
        yield completion(f"a format {label}", response_format=given, rules="formats")
        yield responses(f"a format {label}", text={"format": given}, rules="formats", answer=None)
    for kind in ("text", "json_object"):
        yield messages(
            f"the format {kind}", output_config={"format": {"type": kind}}, rules="formats", answer=None
        )
    strict = {"type": "json_schema", "name": "x", "strict": True, "schema": NESTED}
    yield responses("a strict format", text={"format": strict}, answer=None)


def list_efforts() -> Iterator[Case]:
    """Efforts, for a model that has three of them."""
    for effort in ("none", "minimal", "xhigh", "max", "ultra"):
        yield chat(f"the effort {effort}", reasoning_effort=effort, rules="effort")
        yield responses(f"the effort {effort}", reasoning={"effort": effort}, rules="effort")
        yield messages(f"the effort {effort}", output_config={"effort": effort}, rules="effort")


FIELDS = (*list_tools(), *list_stops(), *list_forms(), *list_formats())
EFFORTS = tuple(list_efforts())
