"""`sparkctl check` and `sparkctl runtime list`, which need no daemon."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import sparkctl

RUNTIME = """
description = "An empty one."
"""


def write_catalogue(folder: Path, catalogue: str) -> Path:
    """A catalogue with one runtime, `plain`, which is not built."""
    path = folder / "models.toml"
    path.write_text(catalogue)
    (folder / "venvs" / "plain").mkdir(parents=True)
    (folder / "venvs" / "plain" / "runtime.toml").write_text(RUNTIME)
    (folder / "venvs" / "plain" / "requirements.lock").write_text("")
    return path


GOOD = """
[models.one]
engine = "command"
command = ["/bin/cat", "{socket}"]
aliases = ["uno"]

[models.two]
source = "./weights"
runtime = "plain"

[models.three]
source = "org/three"
runtime = "plain"
status = "disabled"
reason = "too slow"
"""


def test_a_right_catalogue_is_counted_and_what_is_still_to_be_done_is_noted(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path, GOOD)
    result = sparkctl("check", "--catalogue", path)
    fix = "put the model there, or correct `source` of models.two"
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        f"{path} is valid: 3 models (1 disabled), 1 alias, 1 runtime",
        "note: plain is not built, so two cannot start; run `sparkctl runtime build plain`",
        f"note: two cannot start: its source {tmp_path}/weights does not exist; {fix}",
    ]


def test_a_family_that_no_model_has_is_noted_as_it_may_be_misspelt(tmp_path: Path) -> None:
    families = "[families.llama]\n[families.lama]\nvision = true\n"
    write_catalogue(tmp_path, f'{families}{GOOD}family = "llama"\n')
    result = sparkctl("check", cwd=tmp_path)
    assert result.code == 0
    assert 'note: family "lama" has no model; did you mean "llama"?' in result.out.splitlines()


def test_every_problem_is_a_line_and_the_exit_code_is_1(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path, '[models.one]\nruntime = "plian"\nidle_timeuot = 3\n')
    result = sparkctl("check", cwd=tmp_path)
    assert (result.code, result.err) == (1, "")
    *problems, total = result.out.splitlines()
    assert total == f"{len(problems)} problems in {path}"
    assert any("idle_timeuot" in line and "idle_timeout" in line for line in problems)
    assert any("plian" in line and "plain" in line for line in problems)


def test_options_that_sparkd_sets_itself_are_problems_too(tmp_path: Path) -> None:
    write_catalogue(
        tmp_path, '[models.one]\nsource = "org/one"\nruntime = "plain"\noptions = { uds = "/tmp/mine" }\n'
    )
    result = sparkctl("check", cwd=tmp_path)
    assert result.code == 1
    assert result.out.startswith(f"{tmp_path}/models.toml: models.one: option uds cannot be set")
    assert "uds" in result.out


def test_a_program_gets_all_of_it_as_json_whatever_the_exit_code(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path, GOOD)
    checked = json.loads(sparkctl("check", "--json", "--catalogue", path).out)
    assert checked["catalogue"] == str(path)
    assert (checked["problems"], len(checked["notes"]), checked["models"]) == ([], 2, 3)
    path.write_text("[models.one")
    result = sparkctl("check", "--json", "--catalogue", path)
    assert result.code == 1
    assert len(json.loads(result.out)["problems"]) == 1


def test_a_catalogue_that_is_not_there_is_told_with_its_name(tmp_path: Path) -> None:
    named = sparkctl("check", "--catalogue", tmp_path / "none.toml")
    assert named.code == 1
    assert f"{tmp_path}/none.toml" in named.out
    unnamed = sparkctl("check", cwd=tmp_path)
    assert unnamed.code == 1
    assert f"{tmp_path}/models.toml" in unnamed.err


def test_runtimes_are_listed_with_what_is_to_be_done(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path, GOOD)
    result = sparkctl("runtime", "list", "--catalogue", path)
    assert result.code == 0
    assert [line.rstrip() for line in result.out.splitlines()] == [
        "RUNTIME  STATE      BUILD  DATE  SIZE  DESCRIPTION",
        "plain    not built  -      -        -  An empty one.",
    ]
    listed = json.loads(sparkctl("runtime", "list", "plain", "--json", "--catalogue", path).out)
    [one] = listed
    assert (one["name"], one["description"], one["folder"]) == ("plain", "An empty one.", None)
    assert (one["outdated"], one["builds"]) == (False, [])


def test_an_unknown_runtime_is_4_and_the_nearest_is_named(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path, GOOD)
    for action in ("list", "build"):
        result = sparkctl("runtime", action, "plian", "--catalogue", path)
        assert result.code == 4
        assert 'did you mean "plain"?' in result.err


def test_a_catalogue_without_runtimes_has_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text("")
    result = sparkctl("runtime", "list", cwd=tmp_path)
    assert (result.code, result.out) == (0, f"There are no runtimes in {tmp_path}/venvs.\n")
