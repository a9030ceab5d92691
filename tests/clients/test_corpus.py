"""What the rules make of the requests that real clients sent."""

from __future__ import annotations

import json
import subprocess

import pytest

from sparkd.catalog.templates import Template
from sparkd.rewriting import JsonBody, RewriteContext, detect_api, rewrite
from tests.clients.corpus import Request, read_corpus
from tests.models import CLONE, cpu_folder
from tests.rewriting.examples import model

CORPUS = list(read_corpus())
TEMPLATES = {
    "unknown": Template(),
    "lenient": Template(
        system="anywhere",
        developer=True,
        needs_user=False,
        alternates=False,
        empty_assistant=True,
        null_content=True,
        short_call_ids=False,
    ),
    "strict": Template(
        system="first",
        developer=False,
        needs_user=True,
        alternates=True,
        empty_assistant=False,
        null_content=False,
        short_call_ids=True,
    ),
    "none": Template(system="none", developer=False, alternates=True),
}


def rewrite_for(request: Request, template: Template) -> bytes:
    """Return the body that an engine gets."""
    context = RewriteContext(
        model("m", context_length=131072, vision=True), detect_api(request.path), template=template
    )
    once = rewrite(context, JsonBody.parse(json.dumps(request.body).encode())).body
    assert rewrite(context, JsonBody.parse(once.encode())).body.encode() == once.encode(), "idempotent"
    return bytes(once.encode())


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("request_", CORPUS, ids=lambda request: request.name)
def test_rules_accept_what_clients_send(request_: Request, template: str) -> None:
    rewritten = json.loads(rewrite_for(request_, TEMPLATES[template]))
    assert rewritten["model"] == "m"
    assert "lighthouse" not in json.dumps(request_.body) or "lighthouse" in json.dumps(rewritten)


@pytest.mark.slow
def test_vllms_types_accept_what_the_rules_make_of_it() -> None:
    lines = [
        json.dumps(
            [
                f"{request.name}/{name}",
                request.path.partition("?")[0],
                json.loads(rewrite_for(request, template)),
            ]
        )
        for request in CORPUS
        for name, template in TEMPLATES.items()
    ]
    checked = subprocess.run(
        [cpu_folder() / "bin" / "python", "-W", "ignore", "tests/clients/accepts.py"],
        cwd=CLONE,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "VLLM_LOGGING_LEVEL": "ERROR"},
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert not checked.stdout, checked.stdout
