"""Merging: what the configuration does not name stays, and what sparkd no longer offers leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparkd.clients.configuration import Items, Suggestion
from sparkd.clients.merging import MergeConflict, merge
from sparkd.clients.table import CONFIGURE
from tests.client_configurations.examples import offer_to


def merge_into(existing: Any, name: str, folder: Path, position: int = 0, **options: Any) -> Any:
    file = CONFIGURE[name](offer_to(name, folder, **options)).files[position]
    merged = merge(existing, file.content, file.items)
    assert merge(merged, file.content, file.items) == merged
    return merged


def test_a_suggestion_is_set_only_where_nothing_is() -> None:
    assert merge({"a": 1}, {"a": Suggestion(2), "b": Suggestion(3)}, {}) == {"a": 1, "b": 3}


def test_null_counts_as_nothing() -> None:
    assert merge({"a": None}, {"a": {"b": 1}}, {}) == {"a": {"b": 1}}


@pytest.mark.parametrize(("existing", "path"), [([], "its content"), ({"a": 1}, "`a`"), ({"a": []}, "`a`")])
def test_another_kind_of_value_is_a_conflict(existing: Any, path: str) -> None:
    with pytest.raises(MergeConflict, match=f"{path} is not a table"):
        merge(existing, {"a": {"b": 1}}, {})
    with pytest.raises(MergeConflict, match="`a` is not a list"):
        merge({"a": {}}, {"a": [{"id": 1}]}, {("a",): Items("id")})


def test_other_providers_of_opencode_stay_and_old_models_leave(tmp_path: Path) -> None:
    existing: Any = {
        "theme": "dark",
        "provider": {
            "anthropic": {"options": {"apiKey": "x"}},
            "sparkd": {"models": {"gone": {}, "coder": {"options": {"mine": 1}, "name": "old"}}},
        },
    }
    merged = merge_into(existing, "opencode", tmp_path)
    assert merged["theme"] == "dark"
    assert merged["provider"]["anthropic"] == existing["provider"]["anthropic"]
    models = merged["provider"]["sparkd"]["models"]
    assert "gone" not in models
    assert models["coder"]["options"] == {"mine": 1}
    assert models["coder"]["name"] == "Coder 7B"


@pytest.mark.parametrize(
    ("name", "path", "theirs", "old"),
    [
        (
            "qwen-code",
            ("modelProviders", "openai"),
            {"id": "coder", "envKey": "OPENAI_API_KEY", "baseUrl": "https://api.example"},
            {"id": "gone", "envKey": "SPARKD_API_KEY", "baseUrl": "http://old"},
        ),
        (
            "continue",
            ("models",),
            {"name": "coder", "provider": "ollama", "model": "coder"},
            {"name": "gone (sparkd)", "provider": "openai", "model": "gone"},
        ),
        (
            "litellm",
            ("model_list",),
            {"model_name": "coder", "litellm_params": {"model": "gpt-5"}},
            {"model_name": "gone", "litellm_params": {"api_base": "http://spark:8009/v1"}},
        ),
    ],
)
def test_other_items_of_a_list_stay(
    tmp_path: Path, name: str, path: tuple[str, ...], theirs: Any, old: Any
) -> None:
    existing: Any = [theirs, "strange", old]
    for key in reversed(path):
        existing = {key: existing}
    found = merge_into(existing, name, tmp_path)
    for key in path:
        found = found[key]
    assert found[:2] == [theirs, "strange"]
    assert old not in found
    assert len(found) >= 6


def test_other_groups_of_vscode_stay_and_its_reference_to_the_key_too(tmp_path: Path) -> None:
    other = {"name": "Work", "vendor": "customendpoint", "models": [{"id": "x"}]}
    ours = {"name": "sparkd", "vendor": "customendpoint", "apiKey": "${input:chat.lm.secret.1}", "models": []}
    merged = merge_into([other, ours], "vscode", tmp_path, has_keys=True)
    assert merged[0] == other
    assert merged[1]["apiKey"] == "${input:chat.lm.secret.1}"
    assert len(merged) == 2


@pytest.mark.parametrize("name", ["codex", "claude-code", "qwen-code", "aider", "opencode"])
def test_the_way_in_which_the_key_is_given_can_change(tmp_path: Path, name: str) -> None:
    """Each configuration after any other is the same as in a new file."""
    ways: list[dict[str, Any]] = [{}, {"has_keys": True}, {"has_keys": True, "secret": "sk-1"}]
    for old in ways:
        for new in ways:
            before = merge_into(None, name, tmp_path, **old)
            assert merge_into(before, name, tmp_path, **new) == merge_into(None, name, tmp_path, **new)


def test_another_helper_of_claude_code_stays_where_it_is_not_needed(tmp_path: Path) -> None:
    assert merge_into({"apiKeyHelper": "mine"}, "claude-code", tmp_path)["apiKeyHelper"] == "mine"


def test_a_key_that_was_entered_in_cline_stays(tmp_path: Path) -> None:
    provider = {"settings": {"apiKey": "entered"}, "updatedAt": "2026-05-05T00:00:00.000Z"}
    existing = {"version": 1, "providers": {"openai-compatible": provider, "anthropic": {}}}
    merged = merge_into(existing, "cline", tmp_path, has_keys=True)["providers"]
    assert merged["openai-compatible"]["settings"]["apiKey"] == "entered"
    assert merged["openai-compatible"]["updatedAt"].startswith("2026-05-05")
    assert "anthropic" in merged
