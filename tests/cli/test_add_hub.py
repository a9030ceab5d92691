"""`sparkctl add org/repo`: from a hub of our own, from what was downloaded, and from nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkd.catalog.quantities import GIB
from sparkd.catalog.reading import read_catalogue
from sparkd.guessing import FILE_LIMITS
from tests.cli.local_hub import LocalHub, Repository, local_hub
from tests.cli.running import CommandResult, sparkctl
from tests.cli.test_add import catalogue, drop_ins
from tests.guessing.configs import LLAMA, QWEN3

__all__ = ["catalogue"]

CONFIG = json.dumps(QWEN3).encode()
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    with local_hub() as hub:
        hub.repositories["Qwen/Qwen3-4B"] = Repository(
            {
                "config.json": CONFIG,
                "tokenizer_config.json": b'{"chat_template": "{% if tools %}<tool_call>{% endif %}<think>"}',
                "model-00001-of-00002.safetensors": 2 * GIB,
                "model-00002-of-00002.safetensors": 1 * GIB,
                "model.safetensors.index.json": json.dumps(
                    {
                        "metadata": {"total_size": 4 * GIB},
                        "weight_map": {
                            "a": "model-00001-of-00002.safetensors",
                            "b": "model-00002-of-00002.safetensors",
                        },
                    }
                ).encode(),
            },
            revisions=("main", "v1/x"),
        )
        yield hub


def add(catalogue: Path, endpoint: str, source: str, *more: str, **environment: str) -> CommandResult:
    """Add it with `-y --json`, with nothing of this user's tokens."""
    home = {"HF_ENDPOINT": endpoint, "HF_HOME": str(catalogue.parent / "home"), "HF_TOKEN": "", **environment}
    return sparkctl(
        "add", "--runtime", "cpu", "-y", "--json", source, "--catalogue", catalogue, *more, environment=home
    )


def test_a_repository_is_guessed_from_its_small_files_alone(catalogue: Path, hub: LocalHub) -> None:
    result = add(catalogue, hub.address, "Qwen/Qwen3-4B")
    assert result.code == 0, result.err
    output = json.loads(result.out)
    assert output["origin"] == hub.address
    assert output["next"][0] == "sparkctl pull qwen3-4b"
    assert any(
        "6 GiB  weights: 2 .safetensors files in bfloat16, loaded as float32" in line
        for line in output["arithmetic"]
    )
    added = read_catalogue(catalogue).models["qwen3-4b"]
    assert (added.source, added.options["tool-call-parser"]) == ("Qwen/Qwen3-4B", "hermes")
    assert {path.rpartition("/")[2] for path in hub.asked} <= {*FILE_LIMITS, "main"}


def test_the_address_of_its_page_will_do(catalogue: Path, hub: LocalHub) -> None:
    assert add(catalogue, hub.address, "https://huggingface.co/Qwen/Qwen3-4B/tree/main").code == 0
    assert read_catalogue(catalogue).models["qwen3-4b"].source == "Qwen/Qwen3-4B"


def test_a_revision_is_asked_for_and_written_down(catalogue: Path, hub: LocalHub) -> None:
    assert add(catalogue, hub.address, "Qwen/Qwen3-4B", "--revision", "v1/x").code == 0
    assert "v1/x" in (catalogue.parent / "models.d" / "qwen3-4b.toml").read_text()
    assert any("v1%2Fx" in path for path in hub.asked)
    result = add(catalogue, hub.address, "Qwen/Qwen3-4B", "--revision", "v2", "--id", "other")
    assert (result.code, "no such revision" in result.err) == (4, True)


def test_a_mirror_without_a_listing_will_do_with_an_index(catalogue: Path, hub: LocalHub) -> None:
    hub.repositories["Qwen/Qwen3-4B"].listed = False
    output = json.loads(add(catalogue, hub.address, "Qwen/Qwen3-4B").out)
    assert any("total_size of model.safetensors.index.json" in line for line in output["arithmetic"])


def test_a_repository_that_is_not_there_private_or_gated_is_told_with_what_helps(
    catalogue: Path, hub: LocalHub
) -> None:
    result = add(catalogue, hub.address, "Qwen/Qwen4")
    assert result.code == 4
    assert (
        f"{hub.address} has no repository Qwen/Qwen4, or it is private and HF_TOKEN is not set" in result.err
    )
    hub.repositories["Qwen/Qwen3-4B"].gated = True
    result = add(catalogue, hub.address, "Qwen/Qwen3-4B")
    assert result.code == 4
    assert f"is gated: accept its terms on {hub.address}/Qwen/Qwen3-4B; set HF_TOKEN" in result.err
    result = add(catalogue, hub.address, "Qwen/Qwen3-4B", HF_TOKEN="hf_wrong")
    assert "your HF_TOKEN has no access" in result.err
    assert drop_ins(catalogue) == []
    assert add(catalogue, hub.address, "Qwen/Qwen3-4B", HF_TOKEN="hf_right").code == 0


def test_a_token_that_was_logged_in_with_is_used(catalogue: Path, hub: LocalHub) -> None:
    hub.repositories["Qwen/Qwen3-4B"].gated = True
    (catalogue.parent / "home").mkdir()
    (catalogue.parent / "home" / "token").write_text("hf_right\n")
    assert add(catalogue, hub.address, "Qwen/Qwen3-4B").code == 0
    assert hub.tokens == {"hf_right"}


def test_offline_what_was_said_is_enough_and_less_is_told(catalogue: Path) -> None:
    for endpoint, more in (
        (NOWHERE, {}),
        ("https://huggingface.co", {"HF_HUB_OFFLINE": "1"}),
        ("nonsense", {}),
    ):
        result = add(catalogue, endpoint, "org/model", **more)
        assert result.code == 5, result.err
        assert "to add it anyway, pass --context and --memory" in result.err
    assert drop_ins(catalogue) == []
    result = add(catalogue, NOWHERE, "org/model", "--context", "4096", "--memory", "9 GiB")
    assert result.code == 0, result.err
    added = read_catalogue(catalogue).models["model"]
    assert (added.context_length, added.memory) == (4096, 9 * GIB)


def test_a_hub_that_breaks_off_or_sends_too_much_is_told(catalogue: Path, hub: LocalHub) -> None:
    hub.repositories["Qwen/Qwen3-4B"].truncates = True
    result = add(catalogue, hub.address, "Qwen/Qwen3-4B")
    assert (result.code, "cannot get Qwen/Qwen3-4B from" in result.err) == (5, True)
    big = b'{"a": "' + b"x" * (FILE_LIMITS["config.json"] + 1) + b'"}'
    hub.repositories["Qwen/Qwen3-4B"] = Repository({"config.json": big})
    result = add(catalogue, hub.address, "Qwen/Qwen3-4B")
    assert (result.code, "is larger than 4 MiB" in result.err) == (1, True)


def test_a_repository_with_gguf_alone_is_told(catalogue: Path, hub: LocalHub) -> None:
    hub.repositories["bartowski/X-GGUF"] = Repository({"X-Q4_K_M.gguf": 5 * GIB, "README.md": b""})
    result = add(catalogue, hub.address, "bartowski/X-GGUF")
    assert result.code == 1
    assert "has only GGUF weights" in result.err


def test_a_listing_that_is_nonsense_is_told(catalogue: Path, hub: LocalHub) -> None:
    hub.repositories["org/x"] = Repository({"config.json": b"<html>"})
    result = add(catalogue, hub.address, "org/x")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "config.json is not JSON" in result.err


def test_what_is_downloaded_already_is_not_asked_for_again(catalogue: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models" / "huggingface" / "hub" / "models--org--small"
    snapshot = repository / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("c0ffee")
    (snapshot / "config.json").write_text(json.dumps(LLAMA))
    (repository / "blob").write_bytes(b"x" * 5000)
    (snapshot / "model.safetensors").symlink_to(repository / "blob")
    output = json.loads(add(catalogue, NOWHERE, "org/small").out)
    assert output["origin"] == str(snapshot)
    assert output["next"][0] == "sparkctl reload"
    assert any("9.8 KiB" in line for line in output["arithmetic"])
    (snapshot / "model.safetensors").unlink()
    result = add(catalogue, NOWHERE, "org/small", "--id", "again")
    assert json.loads(result.out)["next"][0] == "sparkctl pull again"
