"""The configuration of each client, with and without keys, utility model and vision."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sparkd.clients.configuration import Configuration, strip_suggestions
from sparkd.clients.formats import parse_text, render_text
from sparkd.clients.merging import merge
from sparkd.clients.names import PURPOSES
from sparkd.clients.table import CONFIGURE
from tests.client_configurations.examples import offer_to

SECRET = "sk-this-is-secret"
LONGEST = 1800
"""Seconds that a client waits, with the catalogue of these tests."""


def content_of(name: str, folder: Path, *, position: int = 0, **options: Any) -> Any:
    files = CONFIGURE[name](offer_to(name, folder, **options)).files
    return strip_suggestions(files[position].content)


def text_of(configuration: Configuration) -> str:
    contents = [json.dumps(strip_suggestions(file.content)) for file in configuration.files]
    return "\n".join([*contents, *configuration.lines, *configuration.notes])


def test_each_client_of_the_list_has_a_configuration() -> None:
    assert list(CONFIGURE) == list(PURPOSES)


@pytest.mark.parametrize("has_utility", [True, False])
@pytest.mark.parametrize("has_keys", [True, False])
@pytest.mark.parametrize("name", PURPOSES)
def test_a_configuration_has_the_address_and_the_models(
    tmp_path: Path, name: str, has_keys: bool, has_utility: bool
) -> None:
    configuration = CONFIGURE[name](offer_to(name, tmp_path, has_keys=has_keys, has_utility=has_utility))
    text = text_of(configuration)
    assert "http://spark:8009" in text
    assert "better" in text
    assert ("titles" in text) or not has_utility or name in ("codex", "home-assistant", "n8n")
    assert "by-hand" not in text
    for file in configuration.files:
        merged = merge(None, file.content, file.items)
        assert merged == strip_suggestions(file.content)
        assert parse_text(file.format, render_text(file.format, merged)) == merged
        assert merge(merged, file.content, file.items) == merged


@pytest.mark.parametrize("name", PURPOSES)
def test_a_key_appears_only_where_the_user_has_passed_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "keys").write_text(f"{SECRET}\n")
    assert SECRET not in text_of(CONFIGURE[name](offer_to(name, tmp_path, has_keys=True)))
    passed = text_of(CONFIGURE[name](offer_to(name, tmp_path, has_keys=True, secret=SECRET)))
    assert (SECRET in passed) == (name != "zed"), "Zed reads no key from its file"


@pytest.mark.parametrize("name", [name for name in PURPOSES if name not in ("codex", "zed")])
def test_without_keys_each_client_that_needs_one_sends_none(tmp_path: Path, name: str) -> None:
    text = text_of(CONFIGURE[name](offer_to(name, tmp_path)))
    assert "none" in text or name == "home-assistant"
    assert "YOUR-SPARKD-KEY" not in text


def test_opencode(tmp_path: Path) -> None:
    found = content_of("opencode", tmp_path)
    provider = found["provider"]["sparkd"]
    assert provider["options"] == {
        "baseURL": "http://spark:8009/v1",
        "apiKey": "none",
        "timeout": False,
        "headerTimeout": False,
        "chunkTimeout": LONGEST * 1000,
    }
    assert (found["model"], found["small_model"]) == ("sparkd/better", "sparkd/titles")
    assert provider["models"]["coder"] == {
        "name": "Coder 7B",
        "limit": {"context": 30000, "output": 4096},
        "tool_call": True,
        "reasoning": False,
        "attachment": False,
        "modalities": {"input": ["text"], "output": ["text"]},
    }
    assert provider["models"]["better"]["modalities"]["input"] == ["text", "image"]
    assert provider["models"]["titles"]["tool_call"] is False
    assert "limit" not in provider["models"]["unknown-context"]
    with_keys = content_of("opencode", tmp_path, has_keys=True)
    assert with_keys["provider"]["sparkd"]["options"]["apiKey"] == "{env:SPARKD_API_KEY}"


def test_codex(tmp_path: Path) -> None:
    found = content_of("codex", tmp_path)
    assert (found["model"], found["model_context_window"]) == ("better", 65536)
    provider = found["model_providers"]["sparkd"]
    assert provider["stream_idle_timeout_ms"] == LONGEST * 1000
    assert "env_key" not in provider, "Codex ends if the variable is not set"
    assert content_of("codex", tmp_path, has_keys=True)["model_providers"]["sparkd"]["env_key"]
    assert "model_context_window" not in content_of("codex", tmp_path, main="unknown-context")


def test_claude_code(tmp_path: Path) -> None:
    found = content_of("claude-code", tmp_path)["env"]
    assert found["ANTHROPIC_BASE_URL"] == "http://spark:8009"
    assert (found["ANTHROPIC_MODEL"], found["ANTHROPIC_SMALL_FAST_MODEL"]) == ("better", "titles")
    assert found["API_TIMEOUT_MS"] == found["CLAUDE_STREAM_IDLE_TIMEOUT_MS"] == str(LONGEST * 1000)
    assert found["ANTHROPIC_AUTH_TOKEN"] == "none"
    assert all(isinstance(value, str) for value in found.values())
    with_keys = content_of("claude-code", tmp_path, has_keys=True)
    assert with_keys["apiKeyHelper"] == "printenv SPARKD_API_KEY"
    assert "ANTHROPIC_AUTH_TOKEN" not in with_keys["env"]


def test_qwen_code(tmp_path: Path) -> None:
    found = content_of("qwen-code", tmp_path)
    models = {model["id"]: model for model in found["modelProviders"]["openai"]}
    assert models["coder"]["generationConfig"]["timeout"] == LONGEST * 1000
    assert models["coder"]["generationConfig"]["contextWindowSize"] == 32768
    assert models["better"]["generationConfig"]["modalities"] == {"image": True}
    assert (found["model"]["name"], found["fastModel"]) == ("better", "titles")
    assert found["env"]["SPARKD_API_KEY"] == "none"
    assert "SPARKD_API_KEY" not in content_of("qwen-code", tmp_path, has_keys=True)["env"]


def test_pi(tmp_path: Path) -> None:
    models = content_of("pi", tmp_path)["providers"]["sparkd"]["models"]
    assert models[0]["input"] == ["text", "image"]
    assert (models[0]["contextWindow"], models[0]["maxTokens"]) == (65536, 8192)
    settings = content_of("pi", tmp_path, position=1)
    assert settings["defaultModel"] == "better"
    assert settings["retry"]["provider"]["timeoutMs"] == LONGEST * 1000


def test_continue(tmp_path: Path) -> None:
    found = content_of("continue", tmp_path, has_keys=True)
    models = {model["model"]: model for model in found["models"]}
    assert models["better"]["capabilities"] == ["tool_use", "image_input"]
    assert models["better"]["requestOptions"] == {"timeout": LONGEST}
    assert models["better"]["apiKey"] == "${{ secrets.SPARKD_API_KEY }}"
    assert models["vectors"]["roles"] == ["embed"]


def test_zed(tmp_path: Path) -> None:
    found = content_of("zed", tmp_path)
    models = found["language_models"]["openai_compatible"]["sparkd"]["available_models"]
    assert (models[0]["max_tokens"], models[0]["max_output_tokens"]) == (65536, 8192)
    assert models[0]["capabilities"]["images"]
    assert found["agent"]["thread_summary_model"] == {"provider": "sparkd", "model": "titles"}


def test_aider(tmp_path: Path) -> None:
    found = content_of("aider", tmp_path)
    assert (found["model"], found["weak-model"]) == ("openai/better", "openai/titles")
    assert found["timeout"] == LONGEST
    limits = content_of("aider", tmp_path, position=1)
    assert limits["openai/better"]["max_input_tokens"] == 65536
    assert "openai-api-key" not in content_of("aider", tmp_path, has_keys=True)


def test_litellm(tmp_path: Path) -> None:
    found = {
        item["model_name"]: item for item in content_of("litellm", tmp_path, has_keys=True)["model_list"]
    }
    parameters = found["better"]["litellm_params"]
    assert (parameters["timeout"], parameters["stream_timeout"]) == (LONGEST, LONGEST)
    assert parameters["api_key"] == "os.environ/SPARKD_API_KEY"
    assert found["better"]["model_info"]["supports_vision"]
    assert found["vectors"]["model_info"] == {"mode": "embedding"}


def test_vscode(tmp_path: Path) -> None:
    (group,) = content_of("vscode", tmp_path)
    models = {model["id"]: model for model in group["models"]}
    assert models["better"]["maxInputTokens"] + models["better"]["maxOutputTokens"] == 65536
    assert models["better"]["url"] == "http://spark:8009/v1/chat/completions"
    assert "unknown-context" not in models


def test_cline(tmp_path: Path) -> None:
    configuration = CONFIGURE["cline"](offer_to("cline", tmp_path, has_keys=True))
    settings = strip_suggestions(configuration.files[0].content)["providers"]["openai-compatible"]["settings"]
    assert settings["apiKey"] == "YOUR-SPARKD-KEY"
    assert settings["timeout"] == LONGEST * 1000
    assert any("coder: context window 32768" in note for note in configuration.notes)


def test_lines_for_clients_without_a_file(tmp_path: Path) -> None:
    lines = {name: CONFIGURE[name](offer_to(name, tmp_path, has_keys=True)).lines for name in PURPOSES}
    assert f"AIOHTTP_CLIENT_TIMEOUT={LONGEST}" in lines["open-webui"]
    assert "TASK_MODEL_EXTERNAL=titles" in lines["open-webui"]
    assert f"Options > Timeout: {LONGEST * 1000}" in lines["n8n"]
    assert "URL: http://spark:8009" in lines["home-assistant"]
    assert "API key: one of your keys" in lines["home-assistant"]
