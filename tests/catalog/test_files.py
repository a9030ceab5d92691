"""The files that are read, how they are merged, and what happens if one cannot be read."""

import contextlib
import socket
from pathlib import Path

import pytest

from sparkd.catalog.names import NAME_RULE
from sparkd.catalog.quantities import GIB, MIB
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.locations import run_folder
from sparkd.catalog.settings import Settings
from sparkd.errors import CatalogueError
from tests.catalog.folder import VLLM, Folder


def test_an_empty_file_is_a_catalogue_with_everything_at_its_default(folder: Folder) -> None:
    catalogue = folder.read("")
    assert catalogue.models == {}
    assert list(catalogue.runtimes) == ["cpu"]
    assert catalogue.settings.server == Settings().server
    assert catalogue.settings.defaults == Settings().defaults


def test_a_model_has_what_it_says_and_the_rest_from_the_defaults(folder: Folder) -> None:
    model = folder.read(
        f"""
        [defaults]
        idle_timeout = 60
        stop_grace = 2.5
        [models."qwen3-0.6b"]
        {VLLM}
        aliases = ["qwen", "Qwen/Qwen3-0.6B"]
        memory = "4 GiB"
        context_length = 8192
        stop_grace = 20
        options = {{ dtype = "float32", enforce-eager = true, max-num-seqs = 8, tags = ["a", 1] }}
        environment = {{ OMP_NUM_THREADS = "1" }}
        """
    ).models["qwen3-0.6b"]
    assert (model.id, model.runtime, model.source) == ("qwen3-0.6b", "cpu", "org/model")
    assert model.aliases == ("qwen", "Qwen/Qwen3-0.6B")
    assert (model.memory, model.context_length) == (4 * GIB, 8192)
    assert (model.idle_timeout, model.stop_grace, model.drain_timeout) == (60.0, 20.0, 300.0)
    assert model.options == {"dtype": "float32", "enforce-eager": True, "max-num-seqs": 8, "tags": ("a", 1)}
    assert model.environment == {"OMP_NUM_THREADS": "1"}
    assert (model.engine, model.lifecycle, model.pinned, model.enabled) == ("vllm", "normal", False, True)


def test_a_utility_model_is_kept_unless_an_idle_timeout_is_set(folder: Folder) -> None:
    utility = f'[models.u]\n{VLLM}\nlifecycle = "utility"\n'
    assert folder.read(utility).models["u"].idle_timeout == 0.0
    assert folder.read(f"{utility}idle_timeout = 60").models["u"].idle_timeout == 60.0
    assert folder.read(f"[defaults]\nidle_timeout = 70\n{utility}").models["u"].idle_timeout == 70.0
    assert folder.read(f"[models.n]\n{VLLM}").models["n"].idle_timeout == Settings().defaults.idle_timeout


def test_durations_are_float_seconds_even_if_written_as_an_integer(folder: Folder) -> None:
    assert isinstance(folder.read("[queue]\nmax_wait = 5").settings.queue.max_wait, float)


def test_settings_said_twice_are_what_the_later_file_says_key_by_key(folder: Folder) -> None:
    folder.write("models.d/10-a.toml", "[queue]\nmax_wait = 2\n[server]\nmax_body = '2 MiB'")
    folder.write("models.d/20-b.toml", "[queue]\nmax_wait = 3")
    settings = folder.read("[queue]\nmax_wait = 1\nmax_length = 7").settings
    assert (settings.queue.max_wait, settings.queue.max_length) == (3.0, 7)
    assert settings.server.max_body == 2 * MIB


def test_drop_ins_add_models(folder: Folder) -> None:
    folder.write("models.d/mine.toml", f"[models.b]\n{VLLM}")
    assert list(folder.read(f"[models.a]\n{VLLM}").models) == ["a", "b"]


def test_a_drop_in_changes_keys_of_a_model_and_leaves_the_others(folder: Folder) -> None:
    folder.write(
        "models.d/mine.toml",
        """
        [changes.a]
        idle_timeout = 5
        aliases = ["c"]
        [changes.a.options]
        max-num-seqs = 4
        """,
    )
    model = folder.read(
        f'[models.a]\n{VLLM}aliases = ["b"]\nmemory = 5\noptions = {{ max-num-seqs = 8, dtype = "float32" }}'
    ).models["a"]
    assert (model.idle_timeout, model.aliases, model.memory) == (5.0, ("c",), 5)
    assert model.options == {"max-num-seqs": 4, "dtype": "float32"}


def test_a_change_may_come_before_the_model_in_the_order_of_files(folder: Folder) -> None:
    folder.write("models.d/10-change.toml", "[changes.b]\npinned = true")
    folder.write("models.d/20-model.toml", f"[models.b]\n{VLLM}")
    assert folder.read("").models["b"].pinned


def test_of_two_changes_the_later_one_counts(folder: Folder) -> None:
    folder.write("models.d/20-b.toml", "[changes.a]\nidle_timeout = 2")
    folder.write("models.d/10-a.toml", "[changes.a]\nidle_timeout = 1")
    assert folder.read(f"[models.a]\n{VLLM}").models["a"].idle_timeout == 2.0


def test_a_change_of_a_missing_model_is_reported(folder: Folder) -> None:
    folder.write("models.d/mine.toml", "[changes.smol]\npinned = true")
    assert folder.problems(f"[models.small]\n{VLLM}") == [
        'models.d/mine.toml: changes.smol: there is no model "smol" to change; did you mean "small"?'
    ]


def test_a_problem_in_a_changed_key_names_the_change(folder: Folder) -> None:
    folder.write("models.d/mine.toml", '[changes.a]\nruntime = "cpuu"')
    assert folder.problems(f"[models.a]\n{VLLM}") == [
        'models.d/mine.toml: changes.a.runtime = "cpuu": there is no such runtime; did you mean "cpu"?'
    ]


def test_a_model_defined_in_two_files_is_reported_with_the_way_to_change_it(folder: Folder) -> None:
    folder.write("models.d/mine.toml", f'[models."a.b"]\n{VLLM}')
    assert folder.problems(f'[models."a.b"]\n{VLLM}') == [
        'models.d/mine.toml: models."a.b": already defined in models.toml; to change its keys, use [changes."a.b"]'
    ]


def test_a_model_defined_twice_in_one_file_is_reported_by_the_line(folder: Folder) -> None:
    assert folder.problems(f"[models.a]\n{VLLM}[models.a]\n{VLLM}") == [
        "models.toml: is not TOML: Cannot declare ('models', 'a') twice (at line 4, column 10)"
    ]


def test_only_toml_files_that_are_not_hidden_are_drop_ins(folder: Folder) -> None:
    for name in (".mine.toml", "mine.toml~", "README", ".mine.toml.new"):
        folder.write(f"models.d/{name}", "oops")
    assert folder.problems("") == []


def test_relative_paths_begin_at_the_file_that_says_them(folder: Folder) -> None:
    folder.write(
        "models.d/mine.toml", '[server]\napi_key_file = "keys"\n[paths]\nstate = "../s"\nrun = "/run/x"'
    )
    catalogue = folder.read(f'[models.a]\nruntime = "cpu"\nsource = "./weights"\n[models.b]\n{VLLM}')
    assert catalogue.settings.server.api_key_file == str(folder.path / "models.d/keys")
    assert catalogue.folder("state").resolve() == folder.path / "s"
    assert catalogue.folder("run") == Path("/run/x")
    assert catalogue.folder("models") == folder.path / "models"
    assert catalogue.models["a"].source == str(folder.path / "weights")
    assert catalogue.models["b"].source == "org/model"


def test_folders_are_absolute_even_when_the_catalogue_was_named_by_a_relative_path(folder: Folder) -> None:
    with contextlib.chdir(folder.path):
        catalogue = read_catalogue(Path("models.toml"))
    assert catalogue.folder("venvs") == folder.path / "venvs"


def test_runtimes_are_the_folders_that_have_a_definition(folder: Folder) -> None:
    folder.write("venvs/notes.txt", "no runtime")
    folder.write("venvs/draft/requirements.lock", "no runtime yet")
    folder.write(
        "elsewhere/gpu/runtime.toml", 'imports = ["torch"]\nsmoke = [["vllm", "--version"]]\ndisk = "7 GiB"'
    )
    assert list(folder.read("").runtimes) == ["cpu"]
    runtime = folder.read('[paths]\nvenvs = "elsewhere"').runtimes["gpu"]
    assert (runtime.name, runtime.folder) == ("gpu", folder.path / "elsewhere/gpu")
    assert (runtime.imports, runtime.smoke) == (("torch",), (("vllm", "--version"),))
    assert (runtime.python, runtime.disk) == (">=3.11", 7 * GIB)


def test_problems_of_a_runtime_are_reported_too(folder: Folder) -> None:
    folder.write("venvs/gpu/runtime.toml", 'smoke = ["vllm"]\n[environment]\n"A B" = "1"')
    folder.write("venvs/a b/runtime.toml", "")
    assert folder.problems("") == [
        f"venvs/a b: expected the name of a runtime: {NAME_RULE}",
        'venvs/gpu/runtime.toml: smoke = ["vllm"]: expected a list of lists of strings',
        'venvs/gpu/runtime.toml: environment."A B" = "1": expected the name of a variable: letters, digits and _',
    ]


def test_a_runtime_whose_definition_is_broken_is_not_called_missing(folder: Folder) -> None:
    folder.write("venvs/cpu/runtime.toml", "oops")
    assert folder.problems(f"[models.a]\n{VLLM}") == [
        "venvs/cpu/runtime.toml: is not TOML: Expected '=' after a key in a key/value pair (at end of document)"
    ]


def test_a_missing_catalogue_is_reported(folder: Folder) -> None:
    folder.catalogue.unlink()
    assert folder.problems() == ["models.toml: cannot be read: No such file or directory"]


def test_what_is_not_a_file_is_reported(folder: Folder) -> None:
    (folder.path / "models.d/a.toml").mkdir(parents=True)
    (folder.path / "models.d/b.toml").symlink_to("nowhere")
    assert folder.problems("") == [
        "models.d/a.toml: cannot be read: Is a directory",
        "models.d/b.toml: cannot be read: No such file or directory",
    ]


def test_a_drop_in_folder_that_is_a_file_is_reported(folder: Folder) -> None:
    folder.write("models.d", "")
    assert folder.problems("") == ["models.d: cannot be read: Not a directory"]


def test_a_socket_among_the_drop_ins_does_not_hang_the_reader(folder: Folder) -> None:
    (folder.path / "models.d").mkdir()
    with contextlib.chdir(folder.path), socket.socket(socket.AF_UNIX) as bound:
        bound.bind("models.d/a.toml")
        assert folder.problems("") == ["models.d/a.toml: cannot be read: No such device or address"]


def test_syntax_errors_are_reported_with_their_line(folder: Folder) -> None:
    assert folder.problems("[server]\nlisten: 3") == [
        "models.toml: is not TOML: Expected '=' after a key in a key/value pair (at line 2, column 7)"
    ]


def test_a_file_that_is_not_utf_8_is_reported_with_its_line(folder: Folder) -> None:
    assert folder.problems(b"[server]\n# caf\xe9\n") == ["models.toml: is not UTF-8 (at line 2)"]


def test_a_byte_order_mark_does_no_harm(folder: Folder) -> None:
    assert folder.problems(b"\xef\xbb\xbf[server]\nlisten = 'a:1'") == []


@pytest.mark.parametrize("text", [f"a = {'[' * 20_000}{']' * 20_000}", f"a = {'9' * 5000}"])
def test_toml_that_python_cannot_read_is_reported_as_well(text: str, folder: Folder) -> None:
    (problem,) = folder.problems(text)
    assert problem.startswith("models.toml: is not TOML")


def test_when_one_file_cannot_be_read_its_models_are_not_called_missing(folder: Folder) -> None:
    folder.write("models.d/mine.toml", "[changes.a]\npinned = true")
    assert folder.problems("oops") == [
        "models.toml: is not TOML: Expected '=' after a key in a key/value pair (at end of document)"
    ]


def test_the_way_to_the_daemon_is_found_in_a_catalogue_with_mistakes(folder: Folder) -> None:
    folder.write("models.toml", "[queue]\non_busy = 3\n[paths]\nrun = 'here'")
    assert run_folder(folder.catalogue) == folder.path / "here"
    folder.write("models.d/mine.toml", "[paths]\nrun = '/run/sparkd'\n[models.a]\noops = 1")
    folder.write("models.d/other.toml", "oops")
    assert run_folder(folder.catalogue) == Path("/run/sparkd")


def test_it_is_not_found_where_the_catalogue_itself_cannot_be_read(folder: Folder) -> None:
    folder.write("models.toml", "oops")
    with pytest.raises(CatalogueError, match="is not TOML"):
        run_folder(folder.catalogue)
