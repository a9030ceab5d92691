"""Whether a client got the whole answer, and nothing that is not part of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from tests.clients.waiting.libraries.prompts import NAME, TOOL

SAID: Final = "Hello from the scripted model."
THOUGHT: Final = "The user wants something; I shall do it.\n"
CALL: Final = [NAME, {"path": "note.txt"}]

ANSWERED: Final = "answered"
GAVE_UP: Final = "gives up"

_timeout = re.compile(r"time[d-]?[ _-]?out|aborted|no stream chunk", re.IGNORECASE)


def judge(outcome: dict[str, Any], prompt: str, *, completion: bool = False) -> str:
    """Return ANSWERED, GAVE_UP, or what is wrong with the answer."""
    if error := outcome.get("error"):
        chain = " ".join(map(str, error.get("chain", ())))
        if _timeout.search(f"{chain} {error['message']}"):
            return GAVE_UP
        return f"fails: {error['class']}: {error['message'][:120]}"
    wrong = [problem for problem in _find_problems(outcome, prompt, completion) if problem]
    return f"wrong: {'; '.join(wrong)}" if wrong else ANSWERED


def judge_all(outcomes: Sequence[dict[str, Any]], prompts: Sequence[str], *, completion: bool = False) -> str:
    """Return the verdict on the answers to several prompts; if they differ, all."""
    verdicts = [
        judge(outcome, prompt, completion=completion)
        for outcome, prompt in zip(outcomes, prompts, strict=True)
    ]
    return "; ".join(dict.fromkeys(verdicts))


def _find_problems(outcome: dict[str, Any], prompt: str, completion: bool) -> list[str]:
    calls_tool = prompt == TOOL and not completion
    text, tools = ("", [CALL]) if calls_tool else (SAID, [])
    usage = [1, 4] if completion else [84, 10] if calls_tool else [85, 8]
    reasoning = outcome.get("reasoning")
    return [
        "" if outcome["text"] == text else f"the text is {outcome['text']!r}",
        # A completion has no calls.
        "" if outcome.get("tools", tools) == tools else f"the calls are {outcome['tools']}",
        "" if outcome.get("role", "assistant") == "assistant" else f"the role is {outcome['role']!r}",
        "" if outcome.get("ids", 1) == 1 else f"{outcome['ids']} ids",
        "" if outcome["usage"] == usage else f"the usage is {outcome['usage']}",
        "" if not reasoning or reasoning.endswith(THOUGHT) else f"the reasoning is {reasoning!r}",
    ]
