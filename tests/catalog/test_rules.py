"""What must hold between keys, between models, and between models and runtimes."""

import pytest

from sparkd.catalog.messages import join_key
from sparkd.catalog.names import NAME_RULE, RESERVED_PATH_SEGMENTS
from tests.catalog.folder import VLLM, Folder

MODEL = f"[models.m]\n{VLLM}"


@pytest.mark.parametrize("id_", ["a", "A", "7b", "qwen3-0.6b", "llama3:8b", "a_b", "x" * 100])
def test_an_id_has_letters_digits_and_a_few_other_characters(id_: str, folder: Folder) -> None:
    assert list(folder.read(f'[models."{id_}"]\n{VLLM}').models) == [id_]


@pytest.mark.parametrize(
    "id_", ["", ".", "..", "-a", "_a", "a/b", "a b", "a%2fb", "café", "a?", "a#", "x" * 101, "../../etc"]
)
def test_an_id_that_cannot_be_part_of_a_path_or_file_name_is_reported(id_: str, folder: Folder) -> None:
    assert folder.problems(f'[models."{id_}"]\n{VLLM}') == [
        f"models.toml: {join_key('models', id_)}: expected {NAME_RULE}"
    ]


@pytest.mark.parametrize("head", sorted(RESERVED_PATH_SEGMENTS))
def test_no_model_hides_a_path_of_the_api(head: str, folder: Folder) -> None:
    assert folder.problems(f"[models.{head}]\n{VLLM}") == [
        f'models.toml: models.{head}: "{head}" is the beginning of an API path (/v1/{head}); choose another id'
    ]
    assert folder.problems(f'{MODEL}aliases = ["{head}"]') == [
        f'models.toml: models.m.aliases = "{head}": is the beginning of an API path (/v1/{head})'
    ]


def test_an_alias_may_be_a_whole_repository_name(folder: Folder) -> None:
    assert folder.read(f'{MODEL}aliases = ["Qwen/Qwen3-8B", "chat/x"]').find("Qwen/Qwen3-8B").id == "m"


@pytest.mark.parametrize("alias", ["", "/", "a/", "/a", "a//b", "a/../b", "a b", "x" * 101])
def test_an_alias_that_no_request_can_name_is_reported(alias: str, folder: Folder) -> None:
    (problem,) = folder.problems(f'{MODEL}aliases = ["{alias}"]')
    assert problem.endswith(f": expected {NAME_RULE}; single slashes may join names")


def test_an_alias_is_not_the_id_of_a_model(folder: Folder) -> None:
    assert folder.problems(f'{MODEL}aliases = ["b", "m"]\n[models.b]\n{VLLM}') == [
        'models.toml: models.m.aliases = "b": is the id of a model in models.toml',
        'models.toml: models.m.aliases = "m": is the id of a model in models.toml',
    ]


def test_an_alias_belongs_to_one_model(folder: Folder) -> None:
    folder.write("models.d/mine.toml", f'[models.b]\n{VLLM}aliases = ["x"]')
    assert folder.problems(f'{MODEL}aliases = ["x", "y", "y"]') == [
        'models.toml: models.m.aliases = "y": is an alias of "m" in models.toml',
        'models.d/mine.toml: models.b.aliases = "x": is an alias of "m" in models.toml',
    ]


def test_there_is_one_utility(folder: Folder) -> None:
    folder.write("models.d/mine.toml", '[changes.b]\nlifecycle = "utility"')
    text = f'{MODEL}lifecycle = "utility"\n[models.b]\n{VLLM}'
    problem = 'changes.b.lifecycle = "utility": "m" in models.toml is the utility model; only one can be'
    assert folder.problems(text) == [f"models.d/mine.toml: {problem}"]


def test_a_disabled_utility_does_not_count(folder: Folder) -> None:
    off = 'status = "disabled"\nreason = "crashes"'
    assert (
        folder.problems(f'{MODEL}lifecycle = "utility"\n{off}\n[models.b]\n{VLLM}lifecycle = "utility"') == []
    )


def test_a_disabled_model_says_why(folder: Folder) -> None:
    problem = (
        'models.m.status = "disabled": a disabled model needs a reason, because rejected requests get it'
    )
    assert folder.problems(f'{MODEL}status = "disabled"') == [f"models.toml: {problem}"]
    assert folder.problems(f'{MODEL}status = "disabled"\nreason = " "') == [f"models.toml: {problem}"]
    assert folder.problems(f'{MODEL}status = "experimental"\nreason = "was broken"') == []


def test_a_client_limit_that_leaves_no_context_for_the_prompt_is_reported(folder: Folder) -> None:
    text = f"{MODEL}context_length = 8192\n[models.m.clients]\nopencode.output = %s\ncline.context = 4096\n"
    assert folder.problems(text % 8191) == []
    line = "models.toml: models.m.clients.%s: expected less than the context (%d), because the prompt needs some of it"
    assert folder.problems(text % 8192) == [line % ("opencode.output = 8192", 8192)]
    assert folder.problems(f"{text % 1}cline.output = 4096") == [line % ("cline.output = 4096", 4096)]


def test_a_missing_runtime_is_reported_with_the_existing_ones(folder: Folder) -> None:
    text = '[models.m]\nsource = "a/b"\nruntime = "{}"'
    assert folder.problems(text.format("cpy")) == [
        'models.toml: models.m.runtime = "cpy": there is no such runtime; did you mean "cpu"?'
    ]
    folder.write("venvs/gb10/runtime.toml", "")
    (problem,) = folder.problems(text.format("rocm"))
    assert problem.endswith('"rocm": there is no such runtime; venvs has "cpu" or "gb10"')
    (problem,) = folder.problems('[paths]\nvenvs = "/nonexistent"\n' + text.format("cpu"))
    assert problem.endswith('"cpu": there is no such runtime; /nonexistent has none')


def test_vllm_needs_a_runtime_and_a_source(folder: Folder) -> None:
    assert folder.problems("[models.m]") == [
        'models.toml: models.m: engine "vllm" needs a runtime',
        'models.toml: models.m: engine "vllm" needs a source',
    ]


def test_a_source_is_a_repository_or_a_folder(folder: Folder) -> None:
    text = '[models.m]\nruntime = "cpu"\nsource = "{}"'
    for source in ("org/name", "/srv/models/x", "./x", "../x"):
        assert folder.problems(text.format(source)) == []
    for source in ("name", "a/b/c", "models\\\\x", "https://huggingface.co/a/b", "-a/b"):
        (problem,) = folder.problems(text.format(source))
        assert problem.endswith("expected a repository `org/name`, or a folder that begins with / or ./")


def test_a_revision_is_a_branch_a_tag_or_a_commit_of_a_repository(folder: Folder) -> None:
    text = '[models.m]\nruntime = "cpu"\nsource = "{}"\nrevision = "{}"'
    for revision in ("main", "v1.0", "refs/pr/7", "0123abc"):
        assert folder.problems(text.format("org/name", revision)) == []
    for revision in ("", "../../x", "/etc", "-x", "a/", "a b"):
        (problem,) = folder.problems(text.format("org/name", revision))
        assert problem.endswith("expected a branch, a tag or a commit of the source")
    (problem,) = folder.problems(text.format("/srv/x", "main"))
    assert problem.endswith("only a repository has revisions, and the source is not one")


def test_a_media_domain_is_compared_with_hosts(folder: Folder) -> None:
    text = MODEL + "media_domains = ['{}']"
    for domain in ("upload.wikimedia.org", "localhost", "10.0.0.1", "a-b.example"):
        assert folder.problems(text.format(domain)) == []
    for domain, meant in (
        ("https://a.example/x", "a.example"),
        ("*.a.example", "a.example"),
        ("A.example", "a.example"),
        ("a.example:80", "a.example"),
        ("a b", None),
        ("*", None),
        ("", None),
    ):
        hint = f'; did you mean "{meant}"?' if meant else ""
        expected = f'expected a whole domain in lower case, such as "upload.wikimedia.org"{hint}'
        assert folder.problems(text.format(domain)) == [
            f'models.toml: models.m.media_domains = "{domain}": {expected}'
        ]


def test_a_command_needs_its_arguments_and_no_options(folder: Folder) -> None:
    assert folder.problems('[models.m]\nengine = "command"') == [
        'models.toml: models.m: engine "command" needs a command'
    ]
    assert folder.problems(f'{MODEL}command = ["x"]') == [
        'models.toml: models.m.command = ["x"]: engine "vllm" does not use command'
    ]
    assert folder.problems('[models.m]\nengine = "command"\ncommand = ["{port}"]\noptions = { a = 1 }') == [
        'models.toml: models.m.options = { a = 1 }: engine "command" does not use options'
    ]


def test_what_a_command_is_filled_in_with_is_known(folder: Folder) -> None:
    command = '[models.m]\nengine = "command"\ncommand = ["serve", "--port={prot}", "{model}", "{source}"]'
    assert folder.problems(command) == [
        'models.toml: models.m.command = "--port={prot}": unknown placeholder {prot}; did you mean "port"?',
        'models.toml: models.m.command = "{source}": uses {source}, but "m" has no source',
    ]


def test_variables_of_a_command_are_filled_in_too(folder: Folder) -> None:
    text = '[models.m]\nengine = "command"\ncommand = ["ollama", "serve"]\nenvironment.A = "%s"'
    assert folder.problems(text % "{host}:{port} {braces} {model}") == []
    assert folder.problems(text % "{port} {source}") == [
        'models.toml: models.m.environment = "{port} {source}": uses {source}, but "m" has no source'
    ]


@pytest.mark.parametrize("words", ['"serve"', '"serve", "{port}", "{socket}"', '"serve", "--host", "{host}"'])
def test_a_command_has_one_address_to_listen_on(words: str, folder: Folder) -> None:
    (problem,) = folder.problems(f'[models.m]\nengine = "command"\ncommand = [{words}]')
    assert problem == (
        f"models.toml: models.m.command = [{words}]: expected either {{port}} or {{socket}} in it, "
        "so that sparkd knows where it listens"
    )


def test_braces_that_hold_no_name_are_left_alone(folder: Folder) -> None:
    command = """[models.m]\nengine = "command"\ncommand = ['serve', '{"a": 1}', '{}', '{port}']"""
    assert folder.problems(command) == []


def test_a_model_with_an_unusable_engine_is_not_asked_for_more(folder: Folder) -> None:
    assert folder.problems('[models.m]\nengine = "tgi"') == [
        'models.toml: models.m.engine = "tgi": expected "command", "sglang" or "vllm"'
    ]


def test_health_is_a_path(folder: Folder) -> None:
    assert folder.problems(f'{MODEL}health = "health"') == [
        'models.toml: models.m.health = "health": expected a path that begins with "/"'
    ]


def test_flags_and_variables_have_names_that_a_program_can_be_given(folder: Folder) -> None:
    keys = 'environment = { "A=B" = "1" }\noptions = { --dtype = "auto", "a b" = 1 }'
    assert folder.problems(f"{MODEL}{keys}") == [
        'models.toml: models.m.environment."A=B" = "1": expected the name of a variable: letters, digits and _',
        'models.toml: models.m.options.--dtype = "auto": expected the name of a flag; leave out the dashes',
        'models.toml: models.m.options."a b" = 1: expected the name of a flag',
    ]


def test_the_longest_pause_is_not_shorter_than_the_first(folder: Folder) -> None:
    assert folder.problems("[failures]\nbackoff = 10\nbackoff_max = 5") == [
        "models.toml: failures.backoff_max = 5.0: expected at least failures.backoff (10)"
    ]
    assert folder.problems("[failures]\nbackoff = 600") == [
        "models.toml: failures.backoff = 600.0: expected at most failures.backoff_max (300)"
    ]


def test_the_reserve_leaves_something_for_models(folder: Folder) -> None:
    assert folder.problems('[memory]\ntotal = "8 GiB"') == [
        'models.toml: memory.total = "8 GiB": expected more than memory.reserve (8 GiB), because models need the rest'
    ]


def test_a_model_larger_than_the_budget_is_reported(folder: Folder) -> None:
    budget = '[memory]\ntotal = "128 GiB"\n'
    assert folder.problems(f'{budget}{MODEL}memory = "121 GiB"') == [
        'models.toml: models.m.memory = "121 GiB": more than the budget, 120 GiB (memory.total - memory.reserve)'
    ]
    assert folder.problems(f'{budget}{MODEL}memory = "120 GiB"') == []
    assert folder.problems(f'{budget}{MODEL}memory = "121 GiB"\nstatus = "disabled"\nreason = "big"') == []


def test_a_total_in_a_drop_in_says_nothing_against_the_catalogue_s_own_models(folder: Folder) -> None:
    own = MODEL.replace("models.m", "models.own")
    folder.write("models.d/mine.toml", f'[memory]\ntotal = "28 GiB"\n{own}memory = "21 GiB"')
    assert folder.problems(f'{MODEL}memory = "121 GiB"') == [
        'models.d/mine.toml: models.own.memory = "21 GiB": more than the budget, 20 GiB (memory.total - memory.reserve)'
    ]


def test_a_normal_model_fits_beside_the_utility(folder: Folder) -> None:
    text = f"""
        [memory]
        total = "128 GiB"
        [models.tiny]
        {VLLM}
        memory = "10 GiB"
        lifecycle = "utility"
        [models.big]
        {VLLM}
        memory = "111 GiB"
        """
    (problem,) = folder.problems(text)
    assert problem == (
        'models.toml: models.big.memory = "111 GiB": does not fit into the budget of 120 GiB beside '
        'the utility model "tiny" (10 GiB); lower it, or set lifecycle = "exclusive"'
    )
    assert folder.problems(f'{text}lifecycle = "exclusive"') == []


def test_without_a_total_memory_is_not_checked(folder: Folder) -> None:
    assert folder.problems(f'{MODEL}memory = "4000 GiB"') == []
