"""`sparkctl client`: what it lists and prints."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from sparkd.clients.names import PURPOSES
from tests.cli.running import sparkctl

MODEL = """
[models.coder]
engine = "command"
command = ["x", "{socket}"]
clients.opencode = { context = 30000, output = 4096 }
clients.cline = { context = 32000, output = 8000 }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a catalogue."""
    (tmp_path / "models.toml").write_text(MODEL)
    return tmp_path


def test_without_a_name_it_lists_the_clients(tmp_path: Path) -> None:
    result = sparkctl("client", cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    assert [line.split()[0] for line in result.out.splitlines()] == list(PURPOSES)
    assert json.loads(sparkctl("client", "--json", cwd=tmp_path).out) == PURPOSES


def test_a_single_file_is_printed_alone_so_that_it_can_be_redirected(folder: Path) -> None:
    result = sparkctl("client", "opencode", cwd=folder, environment={"HOME": "/home/me"})
    assert result.code == 0
    assert "/home/me/.config/opencode/opencode.json; --write merges" in result.err
    found = json.loads(result.out)
    assert found["provider"]["sparkd"]["options"]["baseURL"] == "http://127.0.0.1:8009/v1"
    assert found["model"] == "sparkd/coder"
    assert tomllib.loads(sparkctl("client", "codex", cwd=folder).out)["model"] == "coder"


def test_several_files_are_printed_with_their_places(folder: Path) -> None:
    result = sparkctl("client", "pi", cwd=folder, environment={"HOME": "/home/me"})
    first, _, second = result.out.partition("\n\n# ")
    assert first.startswith("# /home/me/.pi/agent/models.json\n{")
    assert second.startswith("/home/me/.pi/agent/settings.json\n{")


def test_the_places_follow_the_variables_of_the_clients(folder: Path) -> None:
    environment = {"HOME": "/home/me", "XDG_CONFIG_HOME": "/xdg", "CODEX_HOME": "/codex"}

    def place(*arguments: str) -> str:
        result = sparkctl("client", *arguments, "--json", cwd=folder, environment=environment)
        path: str = json.loads(result.out)["files"][0]["path"]
        return path

    assert place("opencode") == "/xdg/opencode/opencode.json"
    assert place("codex") == "/codex/config.toml"
    assert place("qwen-code") == "/home/me/.qwen/settings.json"
    assert place("qwen-code", "--file", "/other/settings.json") == "/other/settings.json"


@pytest.mark.parametrize("url", ["http://spark:8009", "http://spark:8009/", "http://spark:8009/v1"])
def test_an_address_may_end_with_the_path_of_the_api(folder: Path, url: str) -> None:
    output = json.loads(sparkctl("client", "cline", "--json", "--url", url, cwd=folder).out)
    settings = output["files"][0]["content"]["providers"]["openai-compatible"]["settings"]
    assert settings["baseUrl"] == "http://spark:8009/v1"
    assert (settings["contextWindow"], settings["maxTokens"]) == (32000, 8000)
    assert (
        'ANTHROPIC_BASE_URL": "http://spark:8009"'
        in sparkctl("client", "claude-code", "--url", url, cwd=folder).out
    )


@pytest.mark.parametrize("url", ["spark:8009", "ftp://spark", "http://", "http://a b", "http://a:99999"])
def test_another_address_is_rejected(folder: Path, url: str) -> None:
    result = sparkctl("client", "codex", "--url", url, cwd=folder)
    assert result.code == 1
    assert "is not an address such as http://spark.local:8009" in result.err


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("0.0.0.0:9000", "http://localhost:9000/v1"),
        ("[::]:8009", "http://localhost:8009/v1"),
        ("[fd00::1]:8009", "http://[fd00::1]:8009/v1"),
    ],
)
def test_the_address_is_one_that_this_machine_can_reach(tmp_path: Path, listen: str, url: str) -> None:
    (tmp_path / "keys").write_text("k\n")
    (tmp_path / "models.toml").write_text(f'[server]\nlisten = "{listen}"\napi_key_file = "keys"\n{MODEL}')
    result = sparkctl("client", "opencode", cwd=tmp_path)
    assert json.loads(result.out)["provider"]["sparkd"]["options"]["baseURL"] == url
    assert "SPARKD_API_KEY" in result.err


def test_a_key_may_come_from_stdin(folder: Path) -> None:
    result = sparkctl("client", "opencode", "--key", "-", cwd=folder, stdin="secret\n")
    assert json.loads(result.out)["provider"]["sparkd"]["options"]["apiKey"] == "secret"
    assert "blanks" in sparkctl("client", "opencode", "--key", "-", cwd=folder, stdin="\n").err


def test_a_catalogue_without_a_chat_model_is_reported(tmp_path: Path) -> None:
    text = '[models.a]\nengine = "command"\ncommand = ["x", "{socket}"]\ntasks = ["embed"]\n'
    (tmp_path / "models.toml").write_text(text)
    result = sparkctl("client", "cline", cwd=tmp_path)
    assert result.code == 1
    assert "no model chats" in result.err


def test_a_model_that_cannot_be_the_main_one_is_rejected(tmp_path: Path) -> None:
    other = '\n[models.{0}]\nengine = "command"\ncommand = ["x", "{{socket}}"]\n{1}\n'
    vectors = other.format("vectors", 'tasks = ["embed"]')
    disabled = other.format("off", 'status = "disabled"\nreason = "It is broken."')
    (tmp_path / "models.toml").write_text(MODEL + vectors + disabled)
    assert "does not chat" in sparkctl("client", "pi", "--model", "vectors", cwd=tmp_path).err
    assert "is disabled: It is broken." in sparkctl("client", "pi", "--model", "off", cwd=tmp_path).err


def test_a_free_port_needs_an_address(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(f'[server]\nlisten = "127.0.0.1:0"\n{MODEL}')
    assert "--url" in sparkctl("client", "pi", cwd=tmp_path).err
    assert sparkctl("client", "pi", "--url", "http://127.0.0.1:8009", cwd=tmp_path).code == 0


def test_an_unknown_model_or_client_is_reported_with_the_nearest(folder: Path) -> None:
    result = sparkctl("client", "opencode", "--model", "codr", cwd=folder)
    assert result.code == 4
    assert "coder" in result.err
    result = sparkctl("client", "opencod", cwd=folder)
    assert result.code == 2
    assert "there is no client 'opencod'; did you mean 'opencode'?" in result.err


@pytest.mark.parametrize("name", ["open-webui", "home-assistant", "n8n"])
def test_a_client_without_a_file_gets_lines_and_is_not_written(folder: Path, name: str) -> None:
    assert "http://127.0.0.1:8009" in sparkctl("client", name, cwd=folder).out
    result = sparkctl("client", name, "--write", cwd=folder)
    assert result.code == 1
    assert f"run `sparkctl client {name}`" in result.err
