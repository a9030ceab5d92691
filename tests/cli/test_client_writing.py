"""`sparkctl client NAME --write`: what happens to the files of a home folder."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sparkd.cli.client.files import Change
from sparkd.cli.client.writing import write_change
from sparkd.errors import ClientFileError
from tests.cli.running import CommandResult, sparkctl

MODEL = '[models.coder]\nengine = "command"\ncommand = ["x", "{socket}"]\ncontext_length = 32768\n'

CODEX = """# my Codex
model = "gpt-5" # the best

[mcp_servers.docs]
command = "docs-mcp"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder, which also has a catalogue."""
    (tmp_path / "models.toml").write_text(MODEL)
    return tmp_path


def write(home: Path, name: str, *options: str | Path) -> CommandResult:
    return sparkctl("client", name, "--write", *options, cwd=home, environment={"HOME": str(home)})


def codex_file(home: Path, text: str = CODEX) -> Path:
    file = home / ".codex" / "config.toml"
    file.parent.mkdir()
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("opencode", [".config/opencode/opencode.json"]),
        ("cline", [".cline/data/settings/providers.json"]),
        ("claude-code", [".claude/settings.json"]),
        ("codex", [".codex/config.toml"]),
        ("pi", [".pi/agent/models.json", ".pi/agent/settings.json"]),
        ("qwen-code", [".qwen/settings.json"]),
        ("continue", [".continue/config.yaml"]),
        ("zed", [".config/zed/settings.json"]),
        ("aider", [".aider.conf.yml", ".aider.model.metadata.json"]),
        ("vscode", [".config/Code/User/chatLanguageModels.json"]),
    ],
)
def test_it_creates_the_files_and_the_second_time_changes_nothing(
    home: Path, name: str, paths: list[str]
) -> None:
    first = write(home, name)
    assert first.code == 0, first.err
    files = [home / path for path in paths]
    assert all(f"wrote {file}\n" in first.out for file in files)
    before = [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]
    second = write(home, name)
    assert second.out == "".join(f"{file} is already up to date\n" for file in files)
    assert [(file.read_bytes(), file.stat().st_mtime_ns) for file in files] == before
    assert not list(home.rglob("*sparkd-backup*"))


def test_it_merges_keeps_a_backup_and_shows_the_difference(home: Path) -> None:
    file = codex_file(home)
    file.chmod(0o640)
    result = write(home, "codex")
    assert result.code == 0
    assert '-model = "gpt-5" # the best\n+model = "coder" # the best\n' in result.out
    assert file.read_text().startswith("# my Codex\n")
    assert 'command = "docs-mcp"' in file.read_text()
    backup = file.with_name("config.toml.sparkd-backup")
    assert backup.read_text() == CODEX
    assert [path.stat().st_mode & 0o777 for path in (file, backup)] == [0o640, 0o640]
    assert sorted(path.name for path in file.parent.iterdir()) == [file.name, backup.name]


def test_an_older_backup_is_never_overwritten(home: Path) -> None:
    file = codex_file(home)
    for number in range(3):
        file.write_text(f"{CODEX}# {number}\n")
        assert write(home, "codex").code == 0
    backups = sorted(file.parent.glob("*sparkd-backup*"))
    assert [path.read_text()[-2] for path in backups] == ["0", "1", "2"]
    assert [path.suffix for path in backups] == [".sparkd-backup", ".1", ".2"]


def test_a_new_file_with_a_key_can_only_be_read_by_its_owner(home: Path) -> None:
    assert write(home, "opencode", "--key", "sk-secret").code == 0
    file = home / ".config" / "opencode" / "opencode.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "sk-secret" in file.read_text()


def test_the_second_name_is_used_if_that_file_exists(home: Path) -> None:
    file = home / ".config" / "opencode" / "opencode.jsonc"
    file.parent.mkdir(parents=True)
    file.write_text('{\n  // mine\n  "theme": "dark",\n}\n')
    assert f"wrote {file}" in write(home, "opencode").out
    assert '// mine\n  "theme": "dark",' in file.read_text()
    assert not (file.parent / "opencode.json").exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('model = "x\n', "config.toml:1: invalid TOML"),
        ("a = 1\n\nb\n", "config.toml:3: invalid TOML"),
        ("model_providers = 3\n", "`model_providers` is not a table"),
    ],
)
def test_a_file_that_cannot_be_merged_is_reported_and_stays(home: Path, text: str, reason: str) -> None:
    file = codex_file(home, text)
    result = write(home, "codex")
    assert result.code == 1
    assert reason in result.err
    assert "without --write" in result.err
    assert file.read_text() == text
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_bytes_that_are_not_utf8_are_reported(home: Path) -> None:
    file = codex_file(home)
    file.write_bytes(b'model = "\xff"\n')
    assert "byte 9 is not UTF-8" in write(home, "codex").err


def test_one_invalid_file_of_two_changes_neither(home: Path) -> None:
    folder = home / ".pi" / "agent"
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text("{\n  oops\n}")
    assert "settings.json:2: invalid JSON" in write(home, "pi").err
    assert [path.name for path in folder.iterdir()] == ["settings.json"]


def test_a_link_stays_and_its_target_is_written(home: Path) -> None:
    target = home / "dotfiles" / "codex.toml"
    target.parent.mkdir()
    target.write_text(CODEX)
    link = home / ".codex" / "config.toml"
    link.parent.mkdir()
    link.symlink_to(target)
    assert write(home, "codex").code == 0
    assert link.is_symlink()
    assert 'model = "coder"' in target.read_text()


def test_links_in_a_circle_are_reported(home: Path) -> None:
    folder = home / ".codex"
    folder.mkdir()
    (folder / "config.toml").symlink_to(folder / "other.toml")
    (folder / "other.toml").symlink_to(folder / "config.toml")
    result = write(home, "codex")
    assert result.code == 1
    assert "circle" in result.err


def test_a_read_only_file_stays(home: Path) -> None:
    file = codex_file(home)
    file.chmod(0o444)
    result = write(home, "codex")
    assert result.code == 1
    assert f"chmod u+w {file}" in result.err
    assert file.read_text() == CODEX


def test_a_folder_in_the_place_of_the_file_is_reported(home: Path) -> None:
    (home / ".codex" / "config.toml").mkdir(parents=True)
    assert "is not a file" in write(home, "codex").err


def test_litellm_is_written_to_the_named_file(home: Path) -> None:
    assert "--file PATH" in write(home, "litellm").err
    file = home / "config.yaml"
    file.write_text("general_settings:\n  master_key: os.environ/KEY # mine\n")
    assert write(home, "litellm", "--file", file).code == 0
    assert "master_key: os.environ/KEY # mine" in file.read_text()
    assert "model_name: coder" in file.read_text()


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from sparkd.cli.client.files import Change
from sparkd.cli.client.writing import write_change
from sparkd.errors import ClientFileError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
file = Path(sys.argv[1])
try:
    write_change(Change(file, file, file.read_bytes(), b"n" * 5000), is_private=False)
except ClientFileError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("limit", [10, 2000])
def test_a_file_that_cannot_be_written_whole_leaves_the_old_one(tmp_path: Path, limit: int) -> None:
    """Once at the backup, and once at the new file. The limit of a process stands for a full disk."""
    file = tmp_path / "settings.json"
    file.write_text("o" * 1000)
    command = [sys.executable, "-c", FULL_DISK, str(file), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert os.strerror(errno.EFBIG) in done.stderr
    assert file.read_text() == "o" * 1000
    backups = [path.name for path in tmp_path.iterdir() if path != file]
    assert backups == ([] if limit == 10 else ["settings.json.sparkd-backup"])


def test_a_file_that_another_program_has_just_changed_stays(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text("{}")
    with pytest.raises(ClientFileError, match="another program"):
        write_change(Change(file, file, b"[]", b"new"), is_private=False)
    assert file.read_text() == "{}"


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "config.toml"
    with pytest.raises(ClientFileError, match="cannot be written"):
        write_change(Change(place, place, None, b"x"), is_private=False)
