"""What a chat template gives away: how tools are called, whether the model thinks, which roles it takes.

A template is a program; it is never run here, only looked through for the words that the formats are known by.
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
"""How a template writes calls, and vLLM's parser for that; the first that it has counts."""

ALTERNATE: Final = "must alternate"
"""What the templates of Gemma and Mistral raise when two messages of one role follow each other."""

NO_SYSTEM: Final = "System role not supported"
"""What Gemma 2's raises."""

THINKS: Final = ("<think>", "[THINK]", "<|channel>", "<seed:think>", "enable_thinking")

_switch = re.compile(r"enable_thinking|\bthinking is (?:not )?defined\b|\bif (?:not )?thinking\b")
_tools = re.compile(r"\btools\b")


def takes_tools(template: str) -> bool:
    """Whether it puts the request's tools into the prompt at all."""
    return _tools.search(template) is not None


def tool_parser(template: str) -> tuple[str, str] | None:
    """vLLM's parser for the calls it writes, and the mark it was known by."""
    return next(((parser, mark) for mark, parser in TOOL_CALLS if mark in template), None)


def thinks(template: str) -> str | None:
    """The mark by which a model that thinks is known."""
    return next((mark for mark in THINKS if mark in template), None)


def has_switch(template: str) -> bool:
    """Whether the request can switch thinking on and off."""
    return _switch.search(template) is not None


def wants_turns(template: str) -> str | None:
    """What it raises when roles do not take turns, None when it does not."""
    return next((words for words in (ALTERNATE, NO_SYSTEM) if words in template), None)
