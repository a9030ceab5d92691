"""`[runtimes.<name>]` and `[families.<name>]`: keys for models that do not set them themselves."""

import pytest

from sparkd.catalog.definitions import Model
from sparkd.catalog.labels import ClientLimits
from sparkd.catalog.quantities import GIB
from sparkd.catalog.rewriting import Rewriting
from tests.catalog.folder import VLLM, Folder

MODEL = f'[models.m]\n{VLLM}family = "llama"\n'
LAYERS = ("[defaults]", "[runtimes.cpu]", "[families.llama]", MODEL, "[changes.m]")


def model(folder: Folder, text: str) -> Model:
    return folder.read(text).models["m"]


@pytest.mark.parametrize("said", range(1, 2 ** len(LAYERS)))
def test_the_table_nearest_to_the_model_overrides_the_others(said: int, folder: Folder) -> None:
    lines = [f"{table}\nidle_timeout = {i}" if said >> i & 1 else table for i, table in enumerate(LAYERS)]
    assert model(folder, "\n".join(lines)).idle_timeout == said.bit_length() - 1


def test_the_order_of_tables_and_files_does_not_matter(folder: Folder) -> None:
    folder.write("models.d/10-changes.toml", "[changes.m]\npinned = true")
    folder.write("models.d/20-family.toml", "[families.llama]\nmemory = '3 GiB'")
    folder.write("models.d/30-runtime.toml", "[runtimes.cpu]\nmemory = '2 GiB'\nvision = true")
    found = model(folder, MODEL)
    assert (found.pinned, found.memory, found.vision) == (True, 3 * GIB, True)


def test_tables_are_merged_key_by_key(folder: Folder) -> None:
    found = model(
        folder,
        f"""
        [runtimes.cpu]
        options = {{ dtype = "float32", max-num-seqs = 8, seed = 0 }}
        environment = {{ A = "runtime", B = "runtime" }}
        [families.llama]
        options = {{ max-num-seqs = 4, tool-call-parser = "llama3_json" }}
        environment.B = "family"
        rewriting = {{ disable_thinking = true, set = {{ top_k = 20, top_p = 0.9 }} }}
        clients.cline = {{ context = 4096, output = 1024 }}
        {MODEL}
        rewriting.set.top_k = 40
        clients.cline.context = 2048
        clients.opencode.output = 512
        [models.m.options]
        seed = 1
        """,
    )
    assert found.options == {
        "dtype": "float32",
        "max-num-seqs": 4,
        "tool-call-parser": "llama3_json",
        "seed": 1,
    }
    assert found.environment == {"A": "runtime", "B": "family"}
    assert found.rewriting == Rewriting(disable_thinking=True, set={"top_k": 40, "top_p": 0.9})
    assert found.clients.cline == ClientLimits(context=2048, output=1024)
    assert found.clients.opencode == ClientLimits(output=512)


def test_a_family_may_set_the_runtime_and_gets_its_defaults(folder: Folder) -> None:
    text = '[runtimes.cpu]\nmemory = "2 GiB"\n[families.llama]\nruntime = "cpu"\n'
    found = model(folder, f'{text}[models.m]\nfamily = "llama"\nsource = "org/m"')
    assert (found.runtime, found.memory, found.family) == ("cpu", 2 * GIB, "llama")


def test_a_change_of_the_runtime_or_of_the_family_changes_what_is_inherited(folder: Folder) -> None:
    folder.write("venvs/gpu/runtime.toml", "")
    text = (
        f"[runtimes.cpu]\nmemory = 1\n[runtimes.gpu]\nmemory = 2\n[families.llama]\n{MODEL}"
        '[families.qwen]\ncontext_length = 3\n[changes.m]\nruntime = "gpu"\nfamily = "qwen"'
    )
    found = model(folder, text)
    assert (found.memory, found.context_length) == (2, 3)


def test_a_drop_in_changes_keys_of_a_family_and_leaves_the_others(folder: Folder) -> None:
    folder.write("models.d/mine.toml", "[families.llama]\nmemory = 5\noptions.seed = 2")
    found = model(folder, f"[families.llama]\nmemory = 4\nvision = true\noptions.dtype = 'auto'\n{MODEL}")
    assert (found.memory, found.vision, found.options) == (5, True, {"dtype": "auto", "seed": 2})


def test_a_model_without_a_family_inherits_from_none(folder: Folder) -> None:
    assert model(folder, f"[families.llama]\nvision = true\n[models.m]\n{VLLM}").vision is False


def test_a_new_status_needs_a_new_reason(folder: Folder) -> None:
    off = f'[families.llama]\nstatus = "disabled"\nreason = "too slow"\n{MODEL}'
    assert (model(folder, off).enabled, model(folder, off).reason) == (False, "too slow")
    on = model(folder, f'{off}status = "validated"')
    assert (on.enabled, on.reason) == (True, "")
    assert model(folder, f'{off}reason = "gone"').reason == "gone"
    folder.write("models.d/mine.toml", '[changes.m]\nstatus = "disabled"')
    (problem,) = folder.problems(f'[families.llama]\n{MODEL}status = "manual"\nreason = "slow to load"')
    assert problem.startswith(
        'models.d/mine.toml: changes.m.status = "disabled": a disabled model needs a reason'
    )


def test_an_undefined_family_is_reported_with_the_nearest_one(folder: Folder) -> None:
    assert folder.problems(f"[families.lama]\n{MODEL}") == [
        'models.toml: models.m.family = "llama": there is no such family; did you mean "lama"?'
    ]
    assert folder.problems(MODEL) == [
        'models.toml: models.m.family = "llama": there is no such family; define it in [families.llama]'
    ]
    folder.write("models.d/mine.toml", "oops")
    assert not any("family" in problem for problem in folder.problems(MODEL))


def test_defaults_for_a_runtime_that_does_not_exist_are_reported(folder: Folder) -> None:
    assert folder.problems("[runtimes.cpuu]") == [
        'models.toml: runtimes.cpuu: there is no such runtime; did you mean "cpu"?'
    ]
    assert folder.problems('[paths]\nvenvs = "/nonexistent"\n[runtimes.cpu]') == [
        "models.toml: runtimes.cpu: there is no such runtime; /nonexistent has none"
    ]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("[families.f]\npined = true", ['families.f.pined = true: unknown key; did you mean "pinned"?']),
        (
            "[runtimes.cpu]\noptions.a = nan\nmax_wait = 3",
            [
                "runtimes.cpu.options.a = nan: expected a finite number",
                "runtimes.cpu.max_wait = 3: unknown key; it belongs in [queue]",
            ],
        ),
        ("families = 3", ["families = 3: expected a table of tables"]),
        ("[families]\nf = 3", ["families.f = 3: expected a table"]),
        (
            "[families.qwen2.5]\npinned = true",
            ['families.qwen2: put a name with a dot in quotes: [families."qwen2.5"]'],
        ),
        (
            "[families.f]\nsource = 'a/b'\nfamily = 'g'",
            [
                'families.f.source = "a/b": each model sets its own; put it into [models.<id>]',
                'families.f.family = "g": a family cannot have a family',
            ],
        ),
        (
            "[runtimes.cpu]\naliases = ['x']\nfamily = 'f'\nruntime = 'cpu'",
            [
                'runtimes.cpu.aliases = ["x"]: each model sets its own; put it into [models.<id>]',
                'runtimes.cpu.family = "f": families override runtimes; put it into [models.<id>]',
                'runtimes.cpu.runtime = "cpu": the name of the table is the runtime',
            ],
        ),
        ("[famlies.f]", ['famlies = { f = {} }: unknown table; did you mean "families"?']),
    ],
)
def test_what_is_wrong_in_such_a_table_is_reported(text: str, problems: list[str], folder: Folder) -> None:
    assert folder.problems(text) == [f"models.toml: {problem}" for problem in problems]


def test_a_wrong_inherited_value_is_reported_once_for_the_table_that_sets_it(
    folder: Folder,
) -> None:
    folder.write("models.d/mine.toml", '[families.llama]\noptions."--x" = 1\nhealth = "health"')
    other = MODEL.replace("[models.m]", "[models.n]")
    text = f"[runtimes.cpu]\nenvironment.'A B' = 'x'\n[families.llama]\noptions.a = 1\n{MODEL}{other}"
    assert folder.problems(f"{text}options.b = 1") == [
        'models.d/mine.toml: families.llama.health = "health": expected a path that begins with "/"',
        'models.toml: runtimes.cpu.environment."A B" = "x": expected the name of a variable: letters, digits and _',
        "models.d/mine.toml: families.llama.options.--x = 1: expected the name of a flag; leave out the dashes",
    ]


def test_a_runtime_that_a_family_misspells_is_reported_there(folder: Folder) -> None:
    text = '[families.llama]\nruntime = "cpuu"\n[models.m]\nfamily = "llama"\nsource = "a/b"'
    assert folder.problems(text) == [
        'models.toml: families.llama.runtime = "cpuu": there is no such runtime; did you mean "cpu"?'
    ]


def test_two_models_of_a_family_cannot_share_its_preset(folder: Folder) -> None:
    other = MODEL.replace("[models.m]", "[models.n]")
    assert folder.problems(f"[families.llama]\nrewriting.presets.x.a = 1\n{MODEL}{other}") == [
        'models.toml: families.llama.rewriting.presets = "x": is an alias of "m" in models.toml'
    ]


def test_options_of_a_runtime_do_not_affect_a_program_without_options(folder: Folder) -> None:
    command = '[models.m]\nengine = "command"\nruntime = "cpu"\ncommand = ["serve", "{port}"]\n'
    assert folder.problems(f"[runtimes.cpu]\noptions.a = 1\n{command}") == []
    (problem,) = folder.problems(f"[runtimes.cpu]\noptions.a = 1\n{command}options.b = 1")
    assert problem.endswith('engine "command" does not use options')


def test_the_catalogue_knows_which_file_set_each_key(folder: Folder) -> None:
    folder.write("models.d/mine.toml", "[changes.m]\noptions.c = 1")
    catalogue = folder.read(f"[families.llama]\noptions.a = 1\n{MODEL}options.b = 1")
    mine, shipped = folder.path / "models.d/mine.toml", folder.catalogue
    m = catalogue.models["m"]
    assert catalogue.locate_key(m, "options", "a") == (shipped, "families.llama.options.a")
    assert catalogue.locate_key(m, "options", "b") == (shipped, "models.m.options.b")
    assert catalogue.locate_key(m, "options", "c") == (mine, "changes.m.options.c")
    assert catalogue.locate_key(m, "memory") == (shipped, "models.m.memory")
