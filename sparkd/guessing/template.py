"""Searches a chat template for the format of tool calls, for reasoning, and for rules about roles.

A template is a program. It is never run here, only searched for the typical strings of each format.
"""

from __future__ import annotations

import re
from typing import Final

TOOL_CALLS: Final = (
    ("<|tool_call>call:", "gemma4"),
    ("<start_function_call>", "functiongemma"),
    ("<\uff5cDSML\uff5c", "deepseek_v32"),
    ("<minimax:tool_call>", "minimax_m2"),
    ("<seed:tool_call>", "seed_oss"),
    ("<|tool_calls_section_begin|>", "kimi_k2"),
    ("<|tool_call_start|>", "lfm2"),
    ("<|channel|>commentary", "openai"),
    ("<arg_key>", "glm45"),
    ("<function=", "qwen3_coder"),
    ("[TOOL_CALLS]", "mistral"),
    ("Environment: ipython", "llama3_json"),
    ("<tool_call>", "hermes"),
)
"""Markers of tool calls in a template, and vLLM's parser for each. The first marker found counts."""

ALTERNATION_ERROR: Final = "must alternate"
"""The error of Gemma's and Mistral's templates for two messages of one role in a row."""

SYSTEM_ROLE_ERROR: Final = "System role not supported"
"""The error of Gemma 2's template for a system message."""

THINKING_MARKS: Final = ("<think>", "[THINK]", "<|channel>", "<seed:think>", "enable_thinking")

_switch = re.compile(r"enable_thinking|\bthinking is (?:not )?defined\b|\bif (?:not )?thinking\b")
_tools = re.compile(r"\btools\b")


def takes_tools(template: str) -> bool:
    """Whether the template puts the tools of a request into the prompt."""
    return _tools.search(template) is not None


def find_tool_parser(template: str) -> tuple[str, str] | None:
    """vLLM's parser for the format of its tool calls, and the marker that identified it."""
    return next(((parser, mark) for mark, parser in TOOL_CALLS if mark in template), None)


def find_thinking_mark(template: str) -> str | None:
    """The marker that shows that the model reasons."""
    return next((mark for mark in THINKING_MARKS if mark in template), None)


def has_thinking_switch(template: str) -> bool:
    """Whether a request can turn thinking on and off."""
    return _switch.search(template) is not None


def find_role_error(template: str) -> str | None:
    """The error for roles that do not alternate, None if the template has none."""
    return next((error for error in (ALTERNATION_ERROR, SYSTEM_ROLE_ERROR) if error in template), None)
