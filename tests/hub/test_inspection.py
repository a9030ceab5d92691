"""What is on disk, according to the files alone."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from sparkd.catalog.definitions import Model
from sparkd.catalog.reading import read_catalogue
from sparkd.errors import FilesInUse, InvalidRequest
from sparkd.hub.credentials import find_token
from sparkd.hub.inspection import inspect_model, inspect_source, is_complete, take_inventory
from sparkd.hub.layout import open_lock, repository_folder
from sparkd.hub.listing import ListedFile, Listing
from sparkd.hub.needs import Need, find_models_needing, find_needs
from sparkd.hub.removal import remove
from sparkd.hub.selection import select_files
from sparkd.supervising.missing_files import missing_files_error
from tests.hub.server import safetensors


def model(folder: Path, **keys: Any) -> Model:
    """A model as a catalogue says it."""
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in {"runtime": "none", **keys}.items())
    path = folder / "models.toml"
    (folder / "venvs" / "none").mkdir(parents=True, exist_ok=True)
    (folder / "venvs" / "none" / "runtime.toml").write_text("")
    (folder / "venvs" / "none" / "requirements.lock").write_text("")
    path.write_text(f"[models.m]\n{lines}\n")
    return read_catalogue(path).models["m"]


def weights(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    for name in names:
        (folder / name).write_bytes(safetensors(1000))
    return folder


def write_header(path: Path, header: bytes) -> None:
    path.write_bytes(len(header).to_bytes(8, "little") + header)


def replace_with_pipe(path: Path) -> None:
    """A process that opens it for reading waits for a writer."""
    path.unlink()
    os.mkfifo(path)


def test_a_folder_with_complete_weights_is_complete(tmp_path: Path) -> None:
    found = inspect_source(Need(str(weights(tmp_path / "w", "model.safetensors"))), tmp_path)
    assert (found.state, found.missing) == ("complete", ())
    assert found.size > 1000


@pytest.mark.parametrize(
    ("spoil", "missing"),
    [
        (lambda folder: os.truncate(folder / "b.safetensors", 500), ("b.safetensors",)),
        (lambda folder: os.truncate(folder / "b.safetensors", 5), ("b.safetensors",)),
        (lambda folder: os.truncate(folder / "b.safetensors", 0), ("b.safetensors",)),
        (
            lambda folder: (folder / "b.safetensors").write_bytes(b"<html>not found</html>" * 50),
            ("b.safetensors",),
        ),
        (lambda folder: (folder / "b.safetensors").write_bytes(b"\xff" * 5000), ("b.safetensors",)),
        (lambda folder: write_header(folder / "b.safetensors", b'{"\xff": {}}'), ("b.safetensors",)),
        (
            lambda folder: write_header(
                folder / "b.safetensors", b'{"a": {"x": ' + b"[" * 50_000 + b"]" * 50_000 + b"}}"
            ),
            ("b.safetensors",),
        ),
        (lambda folder: replace_with_pipe(folder / "b.safetensors"), ("b.safetensors",)),
        (
            lambda folder: (folder / "model.safetensors.index.json").write_bytes(
                b'{"weight_map": {"x": "\xff"}}'
            ),
            ("model.safetensors.index.json",),
        ),
        (lambda folder: (folder / "b.safetensors").unlink(), ("b.safetensors",)),
        (lambda folder: (folder / "config.json").unlink(), ("config.json",)),
        (
            lambda folder: (folder / "model.safetensors.index.json").write_text("{"),
            ("model.safetensors.index.json",),
        ),
    ],
)
def test_what_is_cut_short_or_gone_is_named(tmp_path: Path, spoil: Any, missing: tuple[str, ...]) -> None:
    folder = weights(tmp_path / "w", "a.safetensors", "b.safetensors")
    index = {"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert inspect_source(Need(str(folder)), tmp_path).state == "complete"
    spoil(folder)
    found = inspect_source(Need(str(folder)), tmp_path)
    assert (found.state, found.missing) == ("incomplete", missing)


def test_a_folder_without_weights_differs_from_a_missing_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert inspect_source(Need(str(tmp_path / "empty")), tmp_path).missing == ("config.json", "weights")
    assert inspect_source(Need(str(tmp_path / "none")), tmp_path).state == "absent"


def test_a_single_file_may_be_a_source(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    assert inspect_source(Need(str(tmp_path / "model.gguf")), tmp_path).state == "complete"


def test_an_unfinished_download_of_another_program_is_not_complete(tmp_path: Path) -> None:
    folder = repository_folder(tmp_path, "org/m")
    weights(folder / "snapshots" / "abc")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    (folder / "blobs").mkdir()
    (folder / "blobs" / "0123.incomplete").write_bytes(b"x" * 5000)
    found = inspect_source(Need("org/m"), tmp_path)
    assert (found.state, found.missing) == ("incomplete", ("weights",))
    weights(folder / "snapshots" / "abc", "model.safetensors")
    assert inspect_source(Need("org/m"), tmp_path).state == "complete"


def test_what_was_listed_and_has_not_come_is_counted(tmp_path: Path) -> None:
    files = tuple(ListedFile(path=f"{n}.safetensors", size=1000, blob=f"{n}", lfs=True) for n in "abc")
    Listing(source="org/m", revision="main", commit="abc", files=files).save(tmp_path)
    found = inspect_source(Need("org/m"), tmp_path)
    assert (found.state, found.bytes_left) == ("absent", 3000)
    blobs = repository_folder(tmp_path, "org/m") / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "a").write_bytes(b"x" * 1000)
    (blobs / "b.incomplete").write_bytes(b"x" * 300)
    found = inspect_source(Need("org/m"), tmp_path)
    assert (found.state, found.bytes_left) == ("incomplete", 1700)
    assert found.missing == ("a.safetensors", "b.safetensors", "c.safetensors")


def test_half_written_notes_are_no_notes(tmp_path: Path) -> None:
    (tmp_path / "downloads" / "models--org--m").mkdir(parents=True)
    (tmp_path / "downloads" / "models--org--m" / "abc.json").write_text('{"source": "org/m", "fi')
    assert inspect_source(Need("org/m"), tmp_path).bytes_left is None


def test_a_model_needs_what_its_options_name_too(tmp_path: Path) -> None:
    one = model(tmp_path, source="org/m", revision="v1", encodings=["o200k_base"])
    assert find_needs(one).sources == (Need("org/m", "v1"),)
    assert find_needs(one).encodings == ("o200k_base",)
    path = tmp_path / "models.toml"
    path.write_text(
        path.read_text()
        + """
[models.m.options]
tokenizer = "org/other"
load-format = "mistral"
speculative-config = '{"method": "eagle", "model": "org/draft"}'
"""
    )
    one = read_catalogue(path).models["m"]
    assert find_needs(one).sources == (
        Need("org/m", "v1", consolidated=True),
        Need("org/other"),
        Need("org/draft"),
    )
    assert [part.source for part in inspect_model(one, tmp_path)] == [
        "org/m",
        "org/other",
        "org/draft",
        "encodings",
    ]
    assert not is_complete(one, tmp_path)


def test_a_size_is_reported_only_if_every_missing_part_has_one(tmp_path: Path) -> None:
    """gpt-oss-20b, 13 GiB, was offered as a download of 6 MiB: that of its encodings."""
    one = model(tmp_path, source="org/m", encodings=["o200k_base"])
    assert [part.state for part in inspect_model(one, tmp_path)] == ["absent", "absent"]
    assert missing_files_error(one, inspect_model(one, tmp_path)).message == (
        'Model "m" is not on disk. Run `sparkctl pull m` to download it.'
    )
    weights(repository_folder(tmp_path, "org/m") / "snapshots" / "abc", "model.safetensors")
    (repository_folder(tmp_path, "org/m") / "refs").mkdir()
    (repository_folder(tmp_path, "org/m") / "refs" / "main").write_text("abc")
    assert missing_files_error(one, inspect_model(one, tmp_path)).message == (
        'Model "m" is only partly on disk. Run `sparkctl pull m` to download it (4 MiB).'
    )


def test_a_command_needs_its_source_only_if_it_uses_it(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    for word, sources in (("{source}", (Need("org/m"),)), ("mine", ())):
        path.write_text(
            '[models.m]\nengine = "command"\nsource = "org/m"\n'
            f'command = ["{sys.executable}", "{word}", "{{socket}}"]\n'
        )
        assert find_needs(read_catalogue(path).models["m"]).sources == sources


def test_what_no_model_needs_is_listed(tmp_path: Path) -> None:
    one = model(tmp_path, source="org/m")
    for source in ("org/m", "some/old--one"):
        weights(repository_folder(tmp_path, source) / "snapshots" / "abc", "model.safetensors")
    found = take_inventory([one], tmp_path)
    assert [(files.model, files.parts[0].source) for files in found] == [
        ("m", "org/m"),
        (None, "some/old--one"),
    ]


def test_removing_takes_all_of_it_and_nothing_of_others(tmp_path: Path) -> None:
    for source in ("org/m", "org/m2"):
        weights(repository_folder(tmp_path, source) / "snapshots" / "abc", "model.safetensors")
    assert remove("org/m", tmp_path) > 1000
    assert remove("org/m", tmp_path) == 0
    assert [path.name for path in repository_folder(tmp_path, "org/m").parent.iterdir()] == [
        "models--org--m2"
    ]
    with pytest.raises(InvalidRequest, match="your own folder"):
        remove(str(tmp_path), tmp_path)


def test_a_repository_is_not_removed_during_its_download(tmp_path: Path) -> None:
    weights(repository_folder(tmp_path, "org/m") / "snapshots" / "abc", "model.safetensors")
    (tmp_path / "downloads").mkdir()
    with (tmp_path / "downloads" / "models--org--m.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert inspect_source(Need("org/m"), tmp_path).downloading
        with pytest.raises(FilesInUse, match="is being downloaded"):
            remove("org/m", tmp_path)
    assert not inspect_source(Need("org/m"), tmp_path).downloading


def test_a_process_that_only_checks_does_not_block_a_removal(tmp_path: Path) -> None:
    """Looking takes the lock for a moment, and `sparkctl status` looks all the time."""
    folder = weights(repository_folder(tmp_path, "org/m") / "snapshots" / "abc", "model.safetensors")
    descriptor = open_lock(tmp_path, "org/m")
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    timer = threading.Timer(0.1, os.close, [descriptor])
    timer.start()
    assert remove("org/m", tmp_path) > 0
    timer.join()
    assert not folder.exists()


def test_a_repository_is_needed_by_whose_options_name_it_too(tmp_path: Path) -> None:
    own = model(tmp_path, source="org/big")
    result = {"options.speculative-config": '{"model": "org/big"}'}
    drafting = model(tmp_path, source="org/other", **result)
    assert find_models_needing("org/big", [own, drafting]) == ["m", "m"]
    assert find_models_needing("org/other", [own, drafting]) == ["m"]


def test_files_are_chosen_once_in_the_best_format() -> None:
    def select(*names: str) -> list[str]:
        files = [ListedFile(path=name, size=1, blob=name, lfs=False) for name in names]
        return [file.path for file in select_files(files)]

    assert select("pytorch_model.bin", "config.json", "training_args.bin") == [
        "pytorch_model.bin",
        "config.json",
    ]
    assert select("model.safetensors", "pytorch_model.bin", "model.gguf") == ["model.safetensors"]
    assert select("model.Q4.gguf", "README.md", ".gitattributes") == ["model.Q4.gguf"]
    assert select("model.safetensors", "2_Dense/model.safetensors", "2_Dense/pytorch_model.bin") == [
        "model.safetensors",
        "2_Dense/model.safetensors",
    ]
    assert select("metal/model.bin", "original/model.safetensors", "model-1.safetensors") == [
        "model-1.safetensors"
    ]


def test_the_first_token_that_is_there_counts(tmp_path: Path) -> None:
    (tmp_path / ".cache" / "huggingface").mkdir(parents=True)
    (tmp_path / ".cache" / "huggingface" / "token").write_text("of-login\n")
    home = {"HOME": str(tmp_path)}
    assert find_token({}, tmp_path / "state") is None
    assert find_token(home, tmp_path / "state") == "of-login"
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "hub-token").write_text("of-state\n")
    assert find_token(home, tmp_path / "state") == "of-state"
    (tmp_path / "named").write_text("named")
    assert find_token({**home, "HF_TOKEN_PATH": str(tmp_path / "named")}, tmp_path / "state") == "named"
    assert find_token({**home, "HF_TOKEN": "own"}, tmp_path / "state") == "own"
