"""scripts/check-language: which words it reports, and where it looks for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).resolve().parent.parent / "scripts" / "check-language"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the check."""
    return subprocess.run(
        [sys.executable, CHECK, *arguments], capture_output=True, text=True, check=False, encoding="utf-8"
    )


def words(file: Path, text: str) -> list[tuple[int, str]]:
    """Return line and word of each finding in a file with this text."""
    file.write_text(text)
    found = []
    for line in run(file).stdout.splitlines():
        path, number, rest = line.split(":", 2)
        assert path == str(file)
        found.append((int(number), rest.split('"')[1]))
    return found


@pytest.mark.parametrize(
    "text",
    [
        "It mends the body.",
        "The body is mended.",
        "The journal tells why.",
        "You are told why.",
        "Opens its doors.",
        "A stranger asks.",
        "Whoever asks waits.",
        "See what is amiss.",
        "It goes by the name.",
        "A token is not to be had.",
        "Killed for want of memory.",
        "Load it anew.",
        "It waits for ever.",
        "Who asks first is served first.",
        "A value that is no choice.",
        "Keep it, lest it be lost.",
    ],
)
def test_a_word_that_must_not_come_back_is_reported(tmp_path: Path, text: str) -> None:
    assert len(words(tmp_path / "text.md", text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "sparkd recommends an amendment: rewrite the body, and log why.",
        "A keyword, a password and the background stay as they are.",
        "EOF stands for the end of the file.",
        "Who owns the port? `ss -ltnp` shows it.",
        "There is no GPU, and no longer a driver.",
        "It reports unknown and abbreviated flags.",
    ],
)
def test_plain_english_passes(tmp_path: Path, text: str) -> None:
    assert words(tmp_path / "text.md", text) == []


def test_a_phrase_is_found_across_the_end_of_a_line(tmp_path: Path) -> None:
    assert words(tmp_path / "text.md", "Killed for\nwant of memory.\n") == [(1, "for want of")]
    code = 'A = (\n    "the model goes "\n    "by its name"\n)\n# It comes\n# of that.\n'
    assert words(tmp_path / "code.py", code) == [(2, "goes by"), (5, "comes of")]


def test_code_in_markdown_is_not_read(tmp_path: Path) -> None:
    text = "Type `tell`.\n\n```sh\necho told\n```\n\n| `door` | see [it](doors.md) |\n\nThat is told.\n"
    assert words(tmp_path / "text.md", text) == [(9, "told")]


def test_comments_docstrings_and_messages_of_python_are_read_and_names_are_not(tmp_path: Path) -> None:
    code = (
        '"""Tells."""\n'
        "told = 1  # a door\n"
        'x = f"no word of {told} here"\n'
        'pattern = r"(told|tells)"\n'
        "# see `told`\n"
    )
    assert words(tmp_path / "code.py", code) == [(1, "tells"), (2, "door"), (3, "word")]


def test_comments_and_texts_of_shell_scripts_are_read_and_variables_are_not(tmp_path: Path) -> None:
    code = (
        "#!/usr/bin/env bash\n"
        "door=1 word=2 # the house\n"
        'fail "nobody told ${door} $word"\n'
        "cat << END\nIt stands.\nEND\n"
        "find \"$door\" -name 'word'\n"
    )
    assert words(tmp_path / "script", code) == [(2, "house"), (3, "told"), (5, "stands")]


def test_comments_and_reasons_in_toml_are_read_and_keys_are_not(tmp_path: Path) -> None:
    text = 'door = "word" # a stranger\nreason = "its parser was mended"\n'
    assert words(tmp_path / "file.toml", text) == [(1, "stranger"), (2, "mended")]


def test_comments_of_units_are_read_and_settings_are_not(tmp_path: Path) -> None:
    text = "# It tells.\n[Service]\nExecStart=/bin/echo told\nDescription=a house\n"
    assert words(tmp_path / "a.service", text) == [(1, "tells"), (4, "house")]


def test_a_finding_names_what_to_use_instead_and_fails_the_check(tmp_path: Path) -> None:
    (tmp_path / "text.md").write_text("Look what is amiss.\n")
    ran = run(tmp_path / "text.md")
    assert ran.returncode == 1
    assert ran.stdout == f'{tmp_path}/text.md:1: "amiss" → wrong, a problem\n'


def test_count_prints_the_number_of_findings_per_file_and_passes(tmp_path: Path) -> None:
    (tmp_path / "one.md").write_text("It is told.\n")
    (tmp_path / "two.md").write_text("It is told, and told anew.\n")
    ran = run("--count", *sorted(tmp_path.iterdir()))
    assert ran.returncode == 0
    assert [line.split()[0] for line in ran.stdout.splitlines()] == ["3", "1", "4"]


def test_the_project_is_read_when_no_file_is_named() -> None:
    ran = run("--count")
    assert ran.returncode == 0
    assert ran.stdout.splitlines()[-1].endswith(" in all")


def test_names_of_functions_and_classes_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("class Door:\n    def was_told(self): ...\n\n\ndef folding(): ...\n")
    ran = run(file)
    assert (ran.returncode, len(ran.stdout.splitlines())) == (1, 2)
    assert "Door" in ran.stdout
    assert "was_told" in ran.stdout


def test_a_script_of_the_page_is_read_without_its_code(tmp_path: Path) -> None:
    script = tmp_path / "view.js"
    text = (
        'const door = "It mends the body.";\n// The journal is told.\n'
        "const part = html`<p class=${door}>A ${door} stranger asks</p>`;\n/** What is amiss. */\n"
        'const name = "door";\n'
    )
    assert words(script, text) == [(1, "mends"), (2, "told"), (3, "stranger"), (4, "amiss")]


def test_a_page_is_read_without_its_tags_and_scripts(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    assert words(page, '<p class="door">It mends.</p>\n<script>door</script>\n<code>door</code>') == [
        (1, "mends")
    ]
