"""`sparkctl models`: a row for each model, what is on disk first, and what all of it comes to."""

from __future__ import annotations

from pathlib import Path

from sparkd.cli.models import describe_state
from sparkd.hub.files import ModelFiles, SourceOnDisk
from sparkd.hub.layout import repository_folder
from tests.cli.running import sparkctl
from tests.hub.test_inspection import weights

CATALOGUE = """
[models.far]
engine = "command"
command = ["/bin/cat", "{source}", "{socket}"]
source = "org/far"

[models.near]
engine = "command"
command = ["/bin/cat", "{source}", "{socket}"]
source = "org/near"
aliases = ["close"]

[models.twin]
engine = "command"
command = ["/bin/cat", "{source}", "{socket}"]
source = "org/near"

[models.old]
engine = "command"
command = ["/bin/cat", "{source}", "{socket}"]
source = "org/old"
status = "disabled"
reason = "too slow"
"""


def test_what_is_on_disk_comes_first_with_totals_and_no_line_ends_in_blanks(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(CATALOGUE)
    for source in ("org/near", "org/gone"):
        folder = repository_folder(tmp_path / "models", source)
        weights(folder / "snapshots" / "abc", "model.safetensors")
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text("abc")
    result = sparkctl("models", cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    rows, totals = result.out.split("\n\n")
    assert [row.split()[0] for row in rows.splitlines()] == ["MODEL", "near", "twin", "far", "-"]
    assert not any(line.endswith(" ") for line in result.out.splitlines())
    lines = totals.splitlines()
    assert lines[0].startswith("1 MiB on disk, ")  # near and twin share theirs
    assert lines[0].endswith(f" free in {tmp_path}/models")
    assert (
        lines[1]
        == f"no model needs 1 repository (1 MiB): you can delete its folder in {tmp_path}/models/huggingface/hub"
    )
    assert lines[2] == "1 disabled model not shown; --all shows them."
    assert "old " in sparkctl("models", "--all", cwd=tmp_path).out


def test_all_that_a_model_needs_is_one_state() -> None:
    def describe(*parts: SourceOnDisk, enabled: bool = True) -> str:
        return describe_state(ModelFiles(model="m", enabled=enabled, parts=parts))

    whole = SourceOnDisk(source="org/m", state="complete", size=5)
    encodings = SourceOnDisk(source="encodings", state="absent", missing=("o200k_base",), bytes_left=2**22)
    assert describe() == "complete"
    assert describe(whole, encodings) == "missing o200k_base, 4 MiB to download"
    assert describe(SourceOnDisk(source="org/m", state="absent"), encodings) == "not on disk"
    assert describe(SourceOnDisk(source="org/m", state="absent", bytes_left=2**22), enabled=False) == (
        "not on disk, 4 MiB to download; the model is disabled"
    )
    assert describe(SourceOnDisk(source="org/m", state="incomplete", size=5)) == "not finished"
    assert describe(SourceOnDisk(source="org/m", state="incomplete", downloading=True, bytes_left=2**20)) == (
        "downloading, 1 MiB to download"
    )
