"""What sparkctl prints: results on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from sparkd.cli.output.formatting import format_duration
from sparkd.errors import SparkdError


def print_line(text: str) -> None:
    """One line of a result."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_json(value: Any) -> None:
    """A result for a program: one line of JSON."""
    print_line(msgspec.json.encode(value, enc_hook=str).decode())  # paths become strings


def print_note(text: str) -> None:
    """A message that is not part of the result."""
    sys.stderr.write(f"sparkctl: {text}\n")


def ask_confirmation(question: str, *, default: bool = False) -> bool:
    """Ask the user, on stderr. An empty answer means `default`, the end of input means no."""
    sys.stderr.write(f"{question} {'[Y/n]' if default else '[y/N]'} ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    return answer.strip().lower() in ("y", "yes") or (default and answer == "\n")


def print_error(error: SparkdError, *, as_json: bool) -> None:
    """Print an error: a sentence, or (with `--json`) one line with the API's error body and `retry_after`."""
    if as_json:
        body = {
            "message": error.message,
            "type": error.type,
            "code": error.code,
            "param": error.param,
            "retry_after": error.retry_after,
        }
        sys.stderr.write(msgspec.json.encode({"error": body}).decode() + "\n")
        return
    retry_hint = "" if error.retry_after is None else f" Try again in {format_duration(error.retry_after)}."
    full_stop = "" if not retry_hint or error.message.endswith((".", "!", "?", "\n")) else "."
    print_note(f"{error.message}{full_stop}{retry_hint}")
