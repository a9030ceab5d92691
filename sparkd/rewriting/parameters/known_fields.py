"""What the fields of the APIs hold. A value outside a field's range is left out or replaced by the nearest bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from sparkd.rewriting.rewrite_context import Api

Kind = Literal["integer", "number", "boolean", "text", "choice", "object", "list"]
"""What a field holds. "text": free text; "choice": one of several names."""


class Field(NamedTuple):
    """A field's type and range. A value below `low` is left out, or becomes `low` if `is_clamped`; one above `high`
    becomes `high`. A name that is not among the `choices` is left out; without choices, engines decide."""

    kind: Kind
    low: float | None = None
    high: float | None = None
    is_clamped: bool = False
    choices: tuple[str, ...] = ()


_INTEGER, _NUMBER, _BOOLEAN = Field("integer"), Field("number"), Field("boolean")
_PENALTY = Field("number", -2, 2, is_clamped=True)
_COUNT = Field("integer", 1)

_FIELDS: Mapping[str, Field] = {
    # Below 0, forms mean "not set"; vLLM rejects more than 2.
    "temperature": Field("number", 0, 2),
    # Its range excludes 0, which forms send if nobody filled it in.
    "top_p": Field("number", 1e-9, 1),
    "min_p": Field("number", 0, 1),
    "presence_penalty": _PENALTY,
    "frequency_penalty": _PENALTY,
    "repetition_penalty": Field("number", 1e-9),
    "length_penalty": _NUMBER,
    "top_k": Field("integer", -1),
    "n": _COUNT,
    "best_of": _COUNT,
    "seed": _INTEGER,
    # 0 and -1 mean "no limit of my own".
    "max_tokens": _COUNT,
    "max_completion_tokens": _COUNT,
    "max_output_tokens": _COUNT,
    "max_tool_calls": _COUNT,
    "min_tokens": Field("integer", 0),
    "top_logprobs": Field("integer", -1),
    "prompt_logprobs": Field("integer", -1),
    "truncate_prompt_tokens": Field("integer", -1),
    "thinking_token_budget": _INTEGER,
    "thinking_budget": _INTEGER,
    "priority": _INTEGER,
    **dict.fromkeys(
        (
            *("stream", "parallel_tool_calls", "store", "background", "echo", "include_reasoning"),
            *("use_beam_search", "ignore_eos", "skip_special_tokens", "spaces_between_special_tokens"),
            *("include_stop_str_in_output", "add_generation_prompt", "continue_final_message"),
            *("add_special_tokens", "return_token_ids", "return_tokens_as_token_ids", "enable_thinking"),
        ),
        _BOOLEAN,
    ),
    **dict.fromkeys(
        ("user", "suffix", "instructions", "prompt_cache_key", "safety_identifier", "session_id"),
        Field("text"),
    ),
    **dict.fromkeys(
        (
            *("reasoning_effort", "truncation_side"),
            *("previous_response_id", "cache_salt", "request_id"),
        ),
        Field("choice"),
    ),
    "service_tier": Field("choice", choices=("auto", "default", "flex", "scale", "priority")),
    "truncation": Field("choice", choices=("auto", "disabled")),
    **dict.fromkeys(
        (
            *("stream_options", "response_format", "metadata", "logit_bias", "reasoning", "text"),
            *("chat_template_kwargs", "thinking", "output_config", "structured_outputs"),
            *("mm_processor_kwargs", "media_io_kwargs", "vllm_xargs", "kv_transfer_params"),
        ),
        Field("object"),
    ),
    **dict.fromkeys(
        (
            *("include", "stop_token_ids", "bad_words", "allowed_token_ids", "logprob_token_ids"),
            *("documents", "modalities"),
        ),
        Field("list"),
    ),
}

_ONLY_CHAT = (
    "max_completion_tokens",
    "top_logprobs",
    "add_generation_prompt",
    "continue_final_message",
    "documents",
)
_ONLY_RESPONSES = (
    *(
        "max_output_tokens",
        "max_tool_calls",
        "store",
        "background",
        "include",
        "text",
        "reasoning",
        "truncation",
    ),
    *("service_tier", "previous_response_id", "instructions", "metadata"),
)
_ONLY_COMPLETIONS = ("suffix",)
_ONLY_MESSAGES = ("thinking", "output_config")
_NOT_IN_RESPONSES = (
    *(
        "n",
        "best_of",
        "max_tokens",
        "min_tokens",
        "prompt_logprobs",
        "response_format",
        "stream_options",
        "echo",
    ),
    *("reasoning_effort", "length_penalty", "use_beam_search", "truncate_prompt_tokens", "truncation_side"),
    *("bad_words", "allowed_token_ids", "logprob_token_ids", "add_special_tokens", "thinking_token_budget"),
)
_IN_MESSAGES = (
    *("max_tokens", "temperature", "top_p", "top_k", "stream", "metadata", "thinking", "output_config"),
    *("chat_template_kwargs", "enable_thinking", "cache_salt", "vllm_xargs", "kv_transfer_params"),
)


def _without(*names: str) -> dict[str, Field]:
    return {name: field for name, field in _FIELDS.items() if name not in names}


FIELDS: Mapping[Api, Mapping[str, Field]] = {
    "chat": {
        **_without(*_ONLY_RESPONSES, *_ONLY_COMPLETIONS, *_ONLY_MESSAGES),
        "logprobs": _BOOLEAN,
    },
    "completions": {
        **_without(*_ONLY_RESPONSES, *_ONLY_CHAT, *_ONLY_MESSAGES, "reasoning_effort", "parallel_tool_calls"),
        "logprobs": Field("integer", -1),
        "max_tokens": Field("integer", 0),
    },
    "responses": {**_without(*_NOT_IN_RESPONSES, *_ONLY_CHAT, *_ONLY_COMPLETIONS, *_ONLY_MESSAGES)}
    | {"top_logprobs": Field("integer", -1)},
    "messages": {name: _FIELDS[name] for name in _IN_MESSAGES},
}
"""The fields of each API that generates. Other fields mean nothing to engines and are not read. Tools, stops and the
conversation have rules of their own."""
