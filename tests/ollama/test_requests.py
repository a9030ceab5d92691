"""Ollama's requests become those of OpenAI's API."""

from __future__ import annotations

from typing import Any

import pytest

from sparkd.errors import InvalidRequest
from sparkd.ollama.messages import translate_messages
from sparkd.ollama.requests import CHAT, COMPLETIONS, EMBEDDINGS, Kind, TranslatedRequest, translate_request

USER = {"role": "user", "content": "Hello"}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
STREAM = {"stream": True, "stream_options": {"include_usage": True}}
PNG = "iVBORw0KGgo="


def chat(**fields: Any) -> TranslatedRequest:
    return translate_request("chat", {"model": "m", "messages": [USER], **fields})


def test_a_chat_streams_unless_it_says_otherwise() -> None:
    streamed = chat()
    assert (streamed.path, streamed.streams) == (CHAT, True)
    assert streamed.body == {"model": "m", "messages": [USER], **STREAM}
    assert chat(stream=False).body == {"model": "m", "messages": [USER]}


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        ({"options": {"temperature": 0, "top_p": 0.9, "top_k": 40, "min_p": 0.1, "seed": 7}}, None),
        ({"options": {"presence_penalty": 1, "frequency_penalty": 2}}, None),
        ({"options": {"repeat_penalty": 1.1}}, {"repetition_penalty": 1.1}),
        ({"options": {"num_predict": 12}}, {"max_tokens": 12}),
        ({"options": {"num_predict": -1}}, {}),
        ({"options": {"num_predict": -2}}, {}),
        ({"options": {"stop": ["a", "b"]}}, {"stop": ["a", "b"]}),
        ({"options": {"stop": []}}, {}),
        ({"options": {"temperature": None}}, {}),
        ({"options": None}, {}),
        ({"tools": [TOOL]}, {"tools": [TOOL]}),
        ({"tools": []}, {}),
        ({"tools": None}, {}),
        ({"format": "json"}, {"response_format": {"type": "json_object"}}),
        ({"format": ""}, {}),
        ({"think": True}, {"thinking": True}),
        ({"think": False}, {"thinking": False}),
        ({"think": "high"}, {"reasoning_effort": "high"}),
        ({"think": None}, {}),
    ],
)
def test_parameters(fields: dict[str, Any], parameters: dict[str, Any] | None) -> None:
    expected = fields["options"] if parameters is None else parameters
    assert chat(stream=False, **fields).body == {"model": "m", "messages": [USER], **expected}


def test_a_schema_becomes_a_response_format() -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}}
    body = chat(format=schema).body or {}
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "response", "schema": schema, "strict": True},
    }


def test_what_has_no_counterpart_is_named() -> None:
    translated = chat(options={"num_ctx": 8192, "mirostat": 1, "bad\r\nname": 1}, template="x", context=[])
    assert translated.rewrites == ("ignored-num_ctx", "ignored-mirostat", "ignored-template")


def test_tool_calls_get_ids_and_results_find_theirs() -> None:
    def call(name: str, **arguments: Any) -> dict[str, Any]:
        return {"function": {"name": name, "arguments": arguments}}

    turns = translate_messages(
        [
            {
                "role": "assistant",
                "content": "",
                "thinking": "Hm.",
                "tool_calls": [call("a", x=1), call("b")],
            },
            {"role": "tool", "tool_name": "b", "content": "B"},
            {"role": "tool", "content": "A"},
            {"role": "assistant", "tool_calls": [call("a")]},
            {"role": "tool", "name": "a", "content": "again"},
        ]
    )
    assert turns[0]["reasoning"] == "Hm."
    assert [each["id"] for each in turns[0]["tool_calls"]] == ["call_0", "call_1"]
    assert turns[0]["tool_calls"][0]["function"] == {"name": "a", "arguments": '{"x":1}'}
    results = [(turn["tool_call_id"], turn["name"]) for turn in turns if turn["role"] == "tool"]
    assert results == [("call_1", "b"), ("call_0", "a"), ("call_2", "a")]


@pytest.mark.parametrize(
    ("image", "url"),
    [
        (PNG, f"data:image/png;base64,{PNG}"),
        ("/9j/4AAQ", "data:image/jpeg;base64,/9j/4AAQ"),
        ("data:image/webp;base64,UklG", "data:image/webp;base64,UklG"),
    ],
)
def test_images_become_data_urls(image: str, url: str) -> None:
    (turn,) = translate_messages([{"role": "user", "content": "What is it?", "images": [image]}])
    assert turn["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]


def generate(**fields: Any) -> TranslatedRequest:
    return translate_request(
        "generate", {"model": "m", "stream": False, **fields}, ("m", "org/Qwen2.5-Coder-7B")
    )


def test_a_prompt_is_a_chat() -> None:
    translated = generate(prompt="Hi", system="Be brief.", images=[PNG], options={"num_predict": 3})
    assert translated.path == CHAT
    assert translated.body is not None
    assert translated.body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert translated.body["messages"][1]["content"][0] == {"type": "text", "text": "Hi"}
    assert translated.body["max_tokens"] == 3


def test_a_raw_prompt_is_a_completion() -> None:
    translated = generate(prompt="Once", raw=True, think=True)
    assert translated.path == COMPLETIONS
    assert translated.body == {"model": "m", "prompt": "Once", "max_tokens": None}


def test_a_suffix_is_filled_in_by_models_that_were_trained_for_it() -> None:
    translated = generate(prompt="def {", suffix="} end {prefix}", options={"num_predict": 9})
    assert translated.body == {
        "model": "m",
        "prompt": "<|fim_prefix|>def {<|fim_suffix|>} end {prefix}<|fim_middle|>",
        "max_tokens": 9,
    }
    mistral = translate_request("generate", {"model": "codestral", "prompt": "a", "suffix": "b"})
    assert mistral.body is not None
    assert mistral.body["prompt"] == "[SUFFIX]b[PREFIX]a"
    with pytest.raises(InvalidRequest, match="`suffix`"):
        translate_request("generate", {"model": "llama", "prompt": "a", "suffix": "b"})


@pytest.mark.parametrize("kind", ["chat", "generate", "embed", "embeddings"])
def test_a_request_without_a_prompt_only_loads_the_model(kind: Kind) -> None:
    translated = translate_request(kind, {"name": "m", "keep_alive": 0})
    assert (translated.body, translated.name, translated.keep_alive) == (None, "m", 0.0)


def test_embeddings() -> None:
    translated = translate_request("embed", {"model": "m", "input": ["a", "b"], "dimensions": 64})
    assert (translated.path, translated.streams) == (EMBEDDINGS, False)
    assert translated.body == {
        "model": "m",
        "input": ["a", "b"],
        "encoding_format": "float",
        "truncate_prompt_tokens": -1,
        "dimensions": 64,
    }
    old = translate_request("embeddings", {"model": "m", "prompt": "a", "truncate": False})
    assert old.body == {"model": "m", "input": "a", "encoding_format": "float"}


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("chat", {}, "model"),
        ("chat", {"model": 7}, "model"),
        ("chat", {"model": "m", "messages": "hi"}, "messages"),
        ("chat", {"model": "m", "messages": ["hi"]}, r"messages\[0\]"),
        ("chat", {"model": "m", "messages": [{"role": "wizard"}]}, r"messages\[0\].role"),
        ("chat", {"model": "m", "messages": [{"role": "user", "content": 7}]}, r"messages\[0\].content"),
        ("chat", {"model": "m", "messages": [{"role": "user", "images": [7]}]}, r"messages\[0\].images"),
        ("chat", {"model": "m", "messages": [{"role": "assistant", "tool_calls": [7]}]}, "tool_calls"),
        ("chat", {"model": "m", "messages": [USER], "options": []}, "options"),
        ("chat", {"model": "m", "messages": [USER], "format": "xml"}, "format"),
        ("chat", {"model": "m", "messages": [USER], "think": "a lot"}, "think"),
        ("chat", {"model": "m", "messages": [USER], "stream": "no"}, "stream"),
        ("chat", {"model": "m", "messages": [USER], "keep_alive": "soon"}, "keep_alive"),
        ("generate", {"model": "m", "prompt": ["a"]}, "prompt"),
        ("generate", {"model": "m", "prompt": "a", "raw": True, "images": [PNG]}, "images"),
        ("embed", {"model": "m", "input": 7}, "input"),
        ("embed", {"model": "m", "input": [7]}, "input"),
        ("embeddings", {"model": "m", "prompt": ["a"]}, "prompt"),
    ],
)
def test_a_wrong_field_is_named(kind: Kind, body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest, match=field):
        translate_request(kind, body)
