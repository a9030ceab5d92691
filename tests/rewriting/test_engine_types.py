"""What rules make of a conversation passes vLLM's own types and converters, and chat templates that raise.

Uses the cpu runtime's Python, which scripts/test prepares; no engine is started.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sparkd.catalog.templates import Template
from sparkd.rewriting import RewriteContext
from tests.rewriting.corpus import bodies
from tests.rewriting.examples import model, rewrite_to_dict

CLONE = Path(__file__).resolve().parent.parent.parent
PROGRAM = Path(__file__).parent / "engine_types.py"
TEMPLATES = {
    "qwen": Template(),
    "harmony": Template(system="anywhere", developer=True),
    "mistral": Template(alternates=True, short_call_ids=True),
    "gemma": Template(system="none", alternates=True),
}
MODELS = {"text": model("text", drop_images=True), "vision": model("vision", vision=True)}
WITHOUT_TOOLS = {
    name
    for name, (_, body) in bodies().items()
    if not any(word in json.dumps(body) for word in ("_call", "tool", '"bogus"'))
}


@pytest.fixture(scope="module")
def verdicts() -> dict[tuple[str, str, str], str | None]:
    """What is wrong with each rewritten body, by name, template and model."""
    cases: dict[tuple[str, str, str], list[Any]] = {}
    for name, (api, body) in bodies().items():
        for template, accepted in TEMPLATES.items():
            for kind, entry in MODELS.items():
                if template != "gemma" or name in WITHOUT_TOOLS:
                    context = RewriteContext(entry, api, template=accepted)
                    rewritten = {"model": entry.id, **rewrite_to_dict(body, context)}
                    cases[name, template, kind] = [api, template, rewritten]
    (python,) = (CLONE / ".sparkd" / "runtimes").glob("cpu-*/bin/python")
    ended = subprocess.run(
        [python, PROGRAM], input=json.dumps(list(cases.values())), capture_output=True, text=True, check=True
    )
    return dict(zip(cases, json.loads(ended.stdout.splitlines()[-1]), strict=True))


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_conversation_is_accepted(
    template: str, verdicts: dict[tuple[str, str, str], str | None]
) -> None:
    wrong = {case: error for case, error in verdicts.items() if error and case[1] == template}
    assert not wrong
