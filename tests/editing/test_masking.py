"""Secrets are hidden wherever a catalogue may have them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.catalog.messages import format_value_problem
from sparkd.catalog.secrets import MASK, is_secret, mask_arguments
from sparkd.editing.masking import mask_text, mask_variables

SECRET = "hf_s3cr3t"


@pytest.mark.parametrize(
    "name", ["HF_TOKEN", "api_key", "--api-key", "OPENAI_API_KEY", "db_password", "AWS_SECRET", "AUTH"]
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "max-num-batched-tokens",
        "tokenizer-mode",
        "api_key_file",
        "keys",
        "monkey",
        "author",
        "key_value_cache",
    ],
)
def test_names_of_other_things(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    "text",
    [
        f'[models.a.environment]\nHF_TOKEN = "{SECRET}"',
        f'[models.a.environment]\nANYTHING = "{SECRET}"',
        f'[models.a]\nenvironment = {{ X = "{SECRET}" }}',
        f'models.a.environment.X = """\n{SECRET}"""',
        f'[models.a]\ncommand = ["serve", "--api-key", "{SECRET}", "--port", "{{port}}"]',
        f'[models.a]\ncommand = ["serve", "--api-key={SECRET}"]',
        f'[models.a.options]\nhf-token = "{SECRET}"',
        f'# HF_TOKEN = "{SECRET}"',
        f'[models.a]\nsource = "https://user:{SECRET}@host/x"',
        f'x = [\n[models.a.environment]\nX = "{SECRET}"',
        f'x = "\n token = "{SECRET}"',
    ],
)
def test_a_text_is_shown_without_its_secrets(text: str) -> None:
    assert SECRET not in mask_text(text)


@given(st.sampled_from(["environment.X", "options.hf-token", "environment.HF_TOKEN"]), st.text(max_size=5))
def test_a_masked_text_is_toml_still(key: str, comment: str) -> None:
    clean = "".join(char for char in comment if char.isprintable())
    text = f"# {clean}\n[models.a]\n{key} = '{SECRET}' # {clean}\nmemory = '1 GiB'\n"
    shown = mask_text(text)
    assert SECRET not in shown
    assert tomllib.loads(shown)["models"]["a"]["memory"] == "1 GiB"


def test_what_is_not_secret_stays() -> None:
    text = '[models.a]\nmemory = "1 GiB" # as measured\ncommand = ["x", "--tokenizer", "y"]\n'
    text += '[server]\napi_key_file = "keys"\n'
    assert mask_text(text) == text


def test_command_lines_and_environments() -> None:
    command = ["x", "--api-key", SECRET, "--hf-token=" + SECRET, "--port", "80", "http://u:p@h/"]
    assert mask_arguments(command) == [
        "x",
        "--api-key",
        MASK,
        f"--hf-token={MASK}",
        "--port",
        "80",
        f"http://{MASK}@h/",
    ]
    masked = mask_variables({"HF_TOKEN": SECRET, "PATH": "/bin", "https_proxy": f"http://u:{SECRET}@p:1"})
    assert masked == {"HF_TOKEN": MASK, "PATH": "/bin", "https_proxy": f"http://{MASK}@p:1"}


def test_a_problem_shows_no_secret() -> None:
    file = Path("own.toml")
    values: dict[str, Any] = {
        "models.a.api_key": SECRET,
        "models.a.environment.HF_TOKEN": SECRET,
        "models.a.environment": {"HF_TOKEN": SECRET},
        "models.a": {"environment": {"HF_TOKEN": SECRET}, "hf-token": SECRET},
        "models.a.command": ["x", "--api-key", SECRET, f"--hf-token={SECRET}"],
        "models.a.source": f"https://user:{SECRET}@host/x",
    }
    for key, value in values.items():
        assert SECRET not in format_value_problem(file, key, value, "expected something else")
