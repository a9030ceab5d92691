"""Which chat template is found for a model on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from sparkd.catalog.definitions import Model
from sparkd.hub import layout
from sparkd.templates.files import LARGEST_TEMPLATE, LoadedTemplate, load_template
from sparkd.templates.locations import locate_template
from tests.rewriting.examples import model as make_model


def model(source: str | Path | None, **fields: Any) -> Model:
    return structs.replace(make_model(), source=source and str(source), **{"engine": "vllm", **fields})


def write(folder: Path, **files: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name.replace("_jinja", ".jinja").replace("_json", ".json")).write_text(text)
    return folder


def load(model: Model, models: Path = Path("/none")) -> LoadedTemplate | None:
    location = locate_template(model, models)
    return load_template(location) if location else None


def text_of(model: Model, models: Path = Path("/none")) -> str | None:
    found = load(model, models)
    return found.text if found else None


def test_it_is_found_where_engines_find_it(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", tokenizer_config_json={"chat_template": "tokenizer's"})
    assert text_of(model(folder)) == "tokenizer's"
    write(folder, chat_template_json={"chat_template": "processor's"})
    assert text_of(model(folder)) == "processor's"
    write(folder, chat_template_jinja="own file")
    assert text_of(model(folder)) == "own file"
    assert text_of(model(folder, options={"chat-template": "{{ given }}"})) == "{{ given }}"
    given = write(tmp_path, given_jinja="given file") / "given.jinja"
    assert text_of(model(folder, options={"chat-template": str(given)})) == "given file"
    assert text_of(model(folder, engine="command")) is None
    assert text_of(model(folder, options={"tokenizer-mode": "mistral"})) is None


def test_it_is_found_in_the_cache_at_the_models_revision(tmp_path: Path) -> None:
    cache = layout.repository_folder(tmp_path, "org/name")
    (cache / "refs").mkdir(parents=True)
    for branch, commit in (("main", "0" * 40), ("next", "1" * 40)):
        (cache / "refs" / branch).write_text(commit)
        write(cache / "snapshots" / commit, chat_template_jinja=branch)
    assert text_of(model("org/name"), tmp_path) == "main"
    assert text_of(model("org/name", revision="next"), tmp_path) == "next"
    assert text_of(model("other", options={"tokenizer": "org/name"}, revision="next"), tmp_path) == "main"
    assert text_of(model("org/absent"), tmp_path) is None
    assert text_of(model(None), tmp_path) is None


def test_special_tokens_come_with_it(tmp_path: Path) -> None:
    tokens = {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False}, "pad_token": None}
    folder = write(tmp_path, tokenizer_config_json=tokens, chat_template_jinja="x")
    assert load(model(folder)) == LoadedTemplate("x", {"bos_token": "<s>", "eos_token": "</s>"})


@pytest.mark.parametrize("content", ["{", "[]", "\x00", json.dumps({"chat_template": 5}), json.dumps({})])
def test_files_that_make_no_sense_have_none(tmp_path: Path, content: str) -> None:
    assert text_of(model(write(tmp_path, tokenizer_config_json=content))) is None


def test_files_that_cannot_be_read_have_none(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").mkdir()
    assert text_of(model(tmp_path)) is None
    large = write(tmp_path / "large", chat_template_jinja="x" * (LARGEST_TEMPLATE + 1))
    assert text_of(model(large)) is None
    assert text_of(model(large, options={"chat-template": str(large / "chat_template.jinja")})) is None
