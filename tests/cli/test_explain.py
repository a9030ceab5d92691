"""`sparkctl explain`, which needs no daemon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import sparkctl

CATALOGUE = """
[models.small]
engine = "command"
command = ["/bin/cat", "{socket}"]
context_length = 4096
rewriting = { tools = "strip", presets = { "small:high" = { reasoning_effort = "high" } } }

[models.vllms]
runtime = "r"
source = "org/name"

[models.seeing]
engine = "command"
command = ["/bin/cat", "{socket}"]
vision = true
"""
TOOL = '{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}'
REQUEST = (
    f'{{"messages": [{{"role": "user", "content": "a secret"}}], "tools": [{TOOL}], "max_tokens": 100000}}'
)


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "models.toml"
    path.write_text(CATALOGUE)
    runtime = tmp_path / "venvs" / "r"
    runtime.mkdir(parents=True)
    for name in ("runtime.toml", "requirements.lock"):
        (runtime / name).touch()
    return path


def list_rules(text: str) -> list[str]:
    """The lines of rules, without their numbers."""
    return [line.partition(". ")[2] for line in text.splitlines()]


def test_every_rule_is_told_with_what_it_changed_and_the_body_that_comes_out(catalogue: Path) -> None:
    result = sparkctl("explain", "small:high", "--catalogue", catalogue, stdin=REQUEST)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].startswith("small, chat: about ")
    assert lines[0].endswith(" tokens of 4,096")
    chain, _, body = result.out.partition("\n{")
    assert '       reasoning_effort - -> "high"' in chain.splitlines()
    assert f"       tools (1 item, {len(TOOL) + 2} characters) -> -" in chain.splitlines()
    assert "join-text        off (join_text)" in list_rules(chain)
    assert "a secret" not in chain
    engines = json.loads("{" + body)
    assert engines["reasoning_effort"] == "high"
    assert "tools" not in engines


def test_for_a_program_it_is_one_line_of_json(catalogue: Path) -> None:
    result = sparkctl("explain", "small", "--json", "--catalogue", catalogue, stdin=REQUEST)
    output = json.loads(result.out)
    assert (output["model"], output["api"], output["context_length"], output["refused"]) == (
        "small",
        "chat",
        4096,
        None,
    )
    assert [rule["rule"] for rule in output["rules"] if rule["state"] == "changed"] == [
        "model-id",
        "cap-tokens",
        "strip-tools",
    ]
    (capped,) = [rule for rule in output["rules"] if rule["rule"] == "cap-tokens"]
    assert output["body"]["max_tokens"] == capped["after"]["max_tokens"] < 4096


def test_a_refusal_is_told_where_it_happens_and_fails(catalogue: Path) -> None:
    image = '{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}'
    result = sparkctl("explain", "small", "--catalogue", catalogue, stdin=image)
    assert result.code == 1
    assert "reject-images    refused" in list_rules(result.out)
    assert (
        result.out.splitlines()[-1]
        == 'rejected: Model "small" does not accept images. These models do: seeing.'
    )


def test_a_request_without_a_prompt_is_rejected_as_the_daemon_does(catalogue: Path) -> None:
    result = sparkctl("explain", "vllms", "--catalogue", catalogue, stdin='{"messages": []}')
    assert result.code == 1
    assert result.out.splitlines()[-1].startswith("rejected: `messages` is empty.")


def test_another_api_has_rules_of_its_own(catalogue: Path) -> None:
    result = sparkctl(
        "explain",
        "small",
        "--api",
        "responses",
        "--catalogue",
        catalogue,
        stdin='{"max_output_tokens": 99999}',
    )
    assert result.code == 0
    assert "join-text        other API" in list_rules(result.out)
    assert "max_output_tokens 99999 -> 3" in result.out


@pytest.mark.parametrize(
    ("stdin", "message"), [("", "The request has no body"), ("[1]", "not a JSON object")]
)
def test_what_is_no_request_is_told(catalogue: Path, stdin: str, message: str) -> None:
    result = sparkctl("explain", "small", "--catalogue", catalogue, stdin=stdin)
    assert (result.code, result.out) == (1, "")
    assert message in result.err


def test_an_unknown_model_is_told_with_the_nearest_name(catalogue: Path) -> None:
    result = sparkctl("explain", "smal", "--catalogue", catalogue, stdin="{}")
    assert result.code == 4
    assert 'did you mean "small"?' in result.err
