"""`sparkctl client`: what a person pastes into a client."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import sparkctl

MODEL = """
[models.coder]
engine = "command"
command = ["x", "{socket}"]
clients.opencode = { context = 30000, output = 4096 }
clients.cline = { context = 32000, output = 8000 }
"""


def test_opencodes_file_is_json_to_be_redirected_into_one(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(MODEL)
    result = sparkctl("client", "opencode", cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert found["provider"]["sparkd"]["options"]["baseURL"] == "http://127.0.0.1:8009/v1"
    assert found["model"] == "sparkd/coder"


def test_cline_is_told_in_a_table_or_as_json(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(MODEL)
    result = sparkctl("client", "cline", "--url", "http://spark:8009/v1", cwd=tmp_path)
    assert "Base URL: http://spark:8009/v1" in result.out
    assert result.out.splitlines()[-1].split() == ["coder", "32000", "8000", "no"]
    output = json.loads(sparkctl("client", "cline", "--json", cwd=tmp_path).out)
    assert output["models"] == [
        {"model": "coder", "context_window": 32000, "max_output": 8000, "images": False}
    ]


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("0.0.0.0:9000", "http://localhost:9000/v1"),
        ("[::]:8009", "http://localhost:8009/v1"),
        ("[fd00::1]:8009", "http://[fd00::1]:8009/v1"),
    ],
)
def test_the_address_is_one_that_this_machine_can_be_asked_at(tmp_path: Path, listen: str, url: str) -> None:
    (tmp_path / "keys").write_text("k\n")
    (tmp_path / "models.toml").write_text(f'[server]\nlisten = "{listen}"\napi_key_file = "keys"\n{MODEL}')
    found = json.loads(sparkctl("client", "opencode", cwd=tmp_path).out)
    assert found["provider"]["sparkd"]["options"]["baseURL"] == url


def test_a_catalogue_without_limits_is_told_how_to_give_some(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text('[models.a]\nengine = "command"\ncommand = ["x", "{socket}"]\n')
    result = sparkctl("client", "cline", cwd=tmp_path)
    assert "clients.cline = {" in result.err


def test_a_model_and_a_client_that_do_not_exist_are_told_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(MODEL)
    result = sparkctl("client", "opencode", "--main", "codr", cwd=tmp_path)
    assert result.code == 4
    assert "coder" in result.err
    assert "opencode" in sparkctl("client", "opencod", cwd=tmp_path).err
