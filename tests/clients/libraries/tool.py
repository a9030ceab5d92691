"""The tool and the prompts of the programs."""

from __future__ import annotations

import sys
from typing import Any

READ = "Read the note"
RECALL = "What did the note say"
URL, MODEL, KEY = sys.argv[1:]

NAME = "read_note"
DESCRIPTION = "Reads a note."
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"path": {"type": "string"}},
    "required": ["path"],
    "additionalProperties": False,
}


def read_note(path: str) -> str:
    """Read a note."""
    return f"{path}: The place is the lighthouse."
