"""vLLM's argv, environment, milestones and failures: plain data in, plain data out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparkd.catalog.quantities import GIB
from sparkd.engines import ENGINES
from sparkd.engines.engine import Exit, Milestone
from sparkd.errors import LaunchError
from tests.engines.examples import launch_context, model

vllm = ENGINES["vllm"]


def argv(**keys: Any) -> tuple[str, ...]:
    return vllm.build_command(model(**keys), launch_context()).argv[3:]


def test_a_model_is_served_under_its_id_on_its_socket() -> None:
    command = vllm.build_command(
        model(context_length=4096, options={"enforce-eager": True}), launch_context()
    )
    assert command.argv == (
        "/runtimes/cpu/bin/vllm",
        *("serve", "org/name", "--served-model-name", "m", "--uds", "/run/m.1/api.sock"),
        *("--max-model-len", "4096", "--enforce-eager"),
    )
    assert vllm.listens_on_socket(model())


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({"enable-auto-tool-choice": True}, ("--enable-auto-tool-choice",)),
        ({"enable-prefix-caching": False}, ("--no-enable-prefix-caching",)),
        ({"max-num-seqs": 8}, ("--max-num-seqs", "8")),
        ({"gpu_memory_utilization": 0.5}, ("--gpu_memory_utilization", "0.5")),
        ({"kv-cache-memory-bytes": "20G"}, ("--kv-cache-memory-bytes", "20G")),
        ({"lora-modules": ("a=/a", "b=/b")}, ("--lora-modules", "a=/a", "b=/b")),
        ({"lora-modules": ()}, ()),
        ({"seed": -1, "chat-template": "-x"}, ("--seed=-1", "--chat-template=-x")),
        ({"compilation-config.mode": 3}, ("--compilation-config.mode", "3")),
        ({"hf-overrides": '{"a": {"b": "c d"}}'}, ("--hf-overrides", '{"a": {"b": "c d"}}')),
        ({"cudagraph-capture-sizes": (1, True)}, ("--cudagraph-capture-sizes", "1", "true")),
    ],
)
def test_options_become_flags(options: dict[str, Any], arguments: tuple[str, ...]) -> None:
    assert argv(options=options)[4:] == arguments


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("uds", "sparkd chooses the address that the engine listens on"),
        ("served_model_name", "clients name the model by its id and its aliases"),
        ("max_model_len", "it is the model's context_length"),
        ("api-key", "a key must not be on a command line"),
        ("hf_token", "only `sparkctl pull` needs a token"),
        ("ssl-certfile", "plain HTTP"),
    ],
)
def test_options_that_are_not_the_catalogues_to_set_are_refused(name: str, why: str) -> None:
    wrong = model(options={name: "x", "max-num-seqs": 1})
    [problem] = vllm.find_problems(wrong)
    assert problem.startswith(f"option {name} cannot be set: ")
    assert why in problem
    with pytest.raises(LaunchError, match=f"model m: option {name} cannot be set"):
        vllm.build_command(wrong, launch_context())


def test_all_problems_are_reported_together() -> None:
    assert len(vllm.find_problems(model(runtime=None, source=None, options={"port": 1}))) == 3


def test_nothing_is_inherited_but_what_is_named() -> None:
    own = {"PATH": "/usr/bin", "LANG": "C.UTF-8", "CUDA_VISIBLE_DEVICES": "0"}
    others = {"PYTHONDONTWRITEBYTECODE": "1", "VLLM_PORT": "1", "SPARKD_KEY": "x", "HOME": "/home/me"}
    command = vllm.build_command(model(), launch_context(inherited=own | others))
    found = command.environment
    assert found["PATH"] == "/runtimes/cpu/bin:/usr/bin:/usr/local/cuda/bin"
    assert found["LANG"] == "C.UTF-8"
    assert found["CUDA_VISIBLE_DEVICES"] == "0"
    assert not found.keys() & (others.keys() - {"HOME"})


def test_caches_are_the_runtimes_own_and_weights_are_everybodys() -> None:
    found = vllm.build_command(model(), launch_context()).environment
    caches = ("HOME", "XDG_CACHE_HOME", "VLLM_CACHE_ROOT", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")
    for name in (*caches, "FLASHINFER_WORKSPACE_BASE", "CUDA_CACHE_PATH", "HF_MODULES_CACHE"):
        assert Path(found[name]).is_relative_to("/cache/cpu"), name
    assert found["HF_HOME"] == "/models/huggingface"
    assert found["TMPDIR"] == "/run/m.1"
    assert found["PATH"].endswith("/usr/local/cuda/bin")  # also where sparkd has no PATH itself


def test_the_models_environment_wins_except_for_its_private_folder() -> None:
    runtime = {"OMP_NUM_THREADS": "1", "MAX_JOBS": "3", "TMPDIR": "/tmp"}
    own = {"OMP_NUM_THREADS": "2", "TMPDIR": "/var/tmp", "VLLM_NO_USAGE_STATS": "0"}
    found = vllm.build_command(model(environment=own), launch_context(environment=runtime)).environment
    assert (found["OMP_NUM_THREADS"], found["MAX_JOBS"], found["VLLM_NO_USAGE_STATS"]) == ("2", "3", "0")
    assert found["TMPDIR"] == "/run/m.1"


def test_an_engine_never_asks_the_hub_for_what_is_on_disk() -> None:
    for source in ("/weights", "org/name"):
        assert vllm.build_command(model(source=source), launch_context()).environment["HF_HUB_OFFLINE"] == "1"


def test_a_pinned_revision_and_the_encodings_reach_the_engine() -> None:
    told = vllm.build_command(model(revision="v2", encodings=("o200k_base",)), launch_context())
    assert told.argv[told.argv.index("--revision") + 1] == "v2"
    assert told.environment["TIKTOKEN_ENCODINGS_BASE"] == "/models/encodings"
    plain = vllm.build_command(model(), launch_context())
    assert "--revision" not in plain.argv
    assert "TIKTOKEN_ENCODINGS_BASE" not in plain.environment


def shares(memory: int, **keys: Any) -> list[str]:
    """What follows `--gpu-memory-utilization` and `--kv-cache-memory-bytes` on a machine of 120 GiB."""
    told = vllm.build_command(model(**keys), launch_context(memory=memory * GIB, total=120 * GIB)).argv
    names = ("--gpu-memory-utilization", "--kv-cache-memory-bytes")
    return [told[place + 1] for place, word in enumerate(told) if word in names]


def test_the_engine_gets_its_reserved_memory_less_its_overhead() -> None:
    assert shares(66) == ["0.5"]
    assert shares(10) == ["0.066"], "a small model takes less beside"
    assert shares(1) == ["0.01"]


def test_a_kv_cache_of_a_given_size_still_comes_with_a_share_that_fits() -> None:
    assert shares(66, kv_cache=20 * GIB) == [str(20 * GIB), "0.5"]
    assert shares(66, options={"kv-cache-memory-bytes": "20G"}) == ["0.5", "20G"]


def test_media_are_fetched_only_from_listed_domains_and_without_redirects() -> None:
    flag = "--allowed-media-domains"
    assert flag not in ENGINES["vllm"].build_command(model(), launch_context()).argv
    for keys, domains in (
        ({"vision": True}, ["none.invalid"]),
        ({"media_domains": ("a.example", "b.example")}, ["a.example", "b.example"]),
    ):
        command = ENGINES["vllm"].build_command(model(**keys), launch_context())
        place = command.argv.index(flag) + 1
        assert list(command.argv[place : place + len(domains)]) == domains
        assert command.environment["VLLM_MEDIA_URL_ALLOW_REDIRECTS"] == "0"
        assert command.environment["VLLM_MAX_STOP_STRINGS"] == "1024"


def test_an_option_set_by_the_owner_is_kept() -> None:
    assert shares(66, options={"gpu_memory_utilization": 0.9}) == []
    assert "0.9" in vllm.build_command(model(options={"gpu_memory_utilization": 0.9}), launch_context()).argv
    assert vllm.implied_footprint(model(kv_cache=GIB, options={"gpu-memory-utilization": 0.5}), GIB) is None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"gpu-memory-utilization": 0.5}, 50 * GIB),
        ({"gpu_memory_utilization": 0.25, "cpu-offload-gb": 10}, 35 * GIB),
        ({"gpu-memory-utilization": 1}, 100 * GIB),
        ({"gpu-memory-utilization": 0.1, "kv-cache-memory-bytes": "20G"}, None),
    ],
)
def test_the_footprint_is_what_the_flags_imply(options: dict[str, Any], expected: int | None) -> None:
    assert vllm.implied_footprint(model(options=options), 100 * GIB) == expected


ENGINE = "(EngineCore pid=4711) INFO 11-22 00:40:45 [core.py:133] "
API = "(APIServer pid=4700) INFO 11-22 00:40:31 [model.py:555] "


@pytest.mark.parametrize(
    ("line", "phase", "progress"),
    [
        (f"{API}Resolved architecture: LlamaForCausalLM", "reading the model's configuration", None),
        (f"{ENGINE}Initializing a V1 LLM engine (v0.32.0) with config: …", "starting the engine core", None),
        (f"{ENGINE}Starting to load model /weights...", "loading weights", None),
        ("Loading safetensors checkpoint shards:  40% Completed | 2/5 [00:01<…]", "loading weights", 0.4),
        ("Loading pt checkpoint shards: 100% Completed | 1/1", "loading weights", 1.0),
        ("Fetching 14 files:   7%|▋         | 1/14 [00:00<…]", "downloading", 0.07),
        (f"{ENGINE}Loading weights took 0.31 seconds", "weights loaded", None),
        (f"{ENGINE}Model loading took 17.2 GiB memory and 142 seconds", "weights loaded", None),
        (f"{ENGINE}GPU KV cache size: 5,824 tokens", "KV cache allocated", None),
        (f"{ENGINE}torch.compile took 39.0 s in total", "compiled", None),
        ("Capturing CUDA graphs (PIECEWISE):  67%|██████▋   | 45/67", "capturing CUDA graphs", 0.67),
        (f"{ENGINE}init engine (profile, create kv cache, warmup model) took 1.95 s", "warmed up", None),
        (f"{API}Starting vLLM server on unix:/run/api.sock", "opening the server", None),
        ("INFO:     Application startup complete.", "up", None),
    ],
)
def test_a_log_line_may_announce_a_step_of_loading(line: str, phase: str, progress: float | None) -> None:
    assert vllm.parse_milestone(line) == Milestone(phase, progress)


@pytest.mark.parametrize("line", ["", f"{ENGINE}Waiting for 1 local engine", "GET /health 200 OK"])
def test_most_lines_announce_nothing(line: str) -> None:
    assert vllm.parse_milestone(line) is None


ECHO = [
    "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
    "",
]


@pytest.mark.parametrize(
    ("line", "kind", "sentence", "remedy"),
    [
        (
            (
                "ValueError: Free memory on device cuda:0 (20.11/121.69 GiB) on startup is less than desired GPU "
                "memory utilization (0.92, 111.95 GiB). Decrease GPU memory utilization or …"
            ),
            "out_of_memory",
            "vLLM needs 111.95 GiB (0.92 of 121.69 GiB), but only 20.11 GiB are free.",
            "gpu-memory-utilization",
        ),
        (
            (
                "ValueError: Available memory on node 0 (5.5/23.4 GiB) on startup is less than desired CPU memory "
                "utilization (0.92, 21.5 GiB). On the CPU backend, …"
            ),
            "out_of_memory",
            "vLLM needs 21.5 GiB (0.92 of 23.4 GiB), but only 5.5 GiB are free.",
            "gpu-memory-utilization",
        ),
        (
            "Free memory on device … is less than desired GPU memory utilization",
            "out_of_memory",
            "less memory is free than vLLM needs.",
            "gpu-memory-utilization",
        ),
        (
            "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when …",
            "out_of_memory",
            "the weights leave no memory for the KV cache.",
            "kv-cache-memory-bytes",
        ),
        (
            (
                "ValueError: To serve at least one request with the model's max seq len (8192), (1.0 GiB KV cache is "
                "needed, which is larger than the available KV cache memory (0.06 GiB). Based on the available memory, "
                "the estimated maximum model length is 704. Try increasing …"
            ),
            "context_too_long",
            "the memory left for the KV cache does not hold one request of 8192 tokens.",
            "Set context_length to 704 or less.",
        ),
        (
            "ValueError: To serve at least one request with the model's max seq len (8192), (1.0 GiB KV cache …",
            "context_too_long",
            "the memory left for the KV cache does not hold one request of 8192 tokens.",
            "Lower context_length",
        ),
        (
            (
                "  Value error, User-specified max_model_len (99999) is greater than the derived max_model_len "
                "(max_position_embeddings=8192 or model_max_length=None in model's config.json). This may …"
            ),
            "context_too_long",
            "the context_length of 99999 is more than the model was made for (8192).",
            "Set context_length to 8192 or less.",
        ),
        (
            "ValueError: Invalid repository ID or local directory specified: '/no/such'.",
            "missing_model",
            "there is no model at /no/such.",
            "source",
        ),
        (
            (
                "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or "
                "'namespace/repo_name': '/no/such'. Use `repo_type` argument if needed."
            ),
            "missing_model",
            "there is no model at /no/such.",
            "source",
        ),
        (
            "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find an appropriate cached snapshot folder",
            "missing_model",
            "the model's files are missing and cannot be downloaded.",
            "Download the model",
        ),
        (
            (
                "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata, file not "
                "fully covered"
            ),
            "missing_model",
            "a weight file of the model is incomplete.",
            "Download the model again.",
        ),
        (
            "OSError: [Errno 98] Address already in use",
            "address_in_use",
            "the engine's address is already in use.",
            "another",
        ),
        (
            "torch.AcceleratorError: CUDA error: an illegal instruction was encountered (cudaErrorIllegalInstruction)",
            "illegal_instruction",
            "the engine ran an instruction that this processor does not have.",
            "built for another machine",
        ),
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has …",
            "out_of_memory",
            "the engine ran out of memory.",
            "context_length",
        ),
        (
            "RuntimeError: NVML: NV_ERR_NO_MEMORY",
            "out_of_memory",
            "the engine ran out of memory.",
            "reserve more",
        ),
        (
            "_pickle.PicklingError: Can't pickle <class 'x'>: attribute lookup failed",
            "unknown",
            "vLLM could not pass work to its own processes: Can't pickle <class 'x'>: attribute lookup failed.",
            "another runtime",
        ),
        (
            "RuntimeError: Engine core process EngineCore_DP0 died unexpectedly.",
            "engine_died",
            "vLLM's engine core exited.",
            "log",
        ),
    ],
)
def test_the_root_cause_is_reported_and_not_its_echo(
    line: str, kind: str, sentence: str, remedy: str
) -> None:
    lines = ["INFO something", f"(EngineCore pid=7) ERROR 11-22 00:40:45 [core.py:900] {line}", *ECHO]
    cause = vllm.explain_exit(Exit(1), lines)
    assert (cause.kind, cause.sentence) == (kind, sentence)
    assert remedy in cause.remedy


def test_a_flag_that_vllm_does_not_know_is_named() -> None:
    lines = [
        "usage: vllm [-h] [-v] {chat,complete,serve,…} ...",
        "vllm: error: unrecognized arguments: --no-such 3",
    ]
    cause = vllm.explain_exit(Exit(2), lines)
    assert (cause.kind, cause.sentence) == ("bad_option", "this vLLM does not know --no-such 3.")


def test_a_value_that_vllm_does_not_accept_is_named() -> None:
    line = "vllm serve: error: argument --max-num-seqs: invalid int value: 'many'"
    cause = vllm.explain_exit(Exit(2), ["usage: vllm serve …", line])
    assert cause.kind == "bad_option"
    assert cause.sentence == "vLLM does not accept the value of --max-num-seqs: invalid int value: 'many'."


@pytest.mark.parametrize(
    ("name", "process"),
    [
        ("VLLM::EngineCor", "vLLM's engine core"),
        ("VLLM::Worker", "vLLM's worker"),
        ("VLLM::Worker_TP", "vLLM's worker"),
        ("Home::EngineCor", "vLLM's engine core"),
        ("VLLM::APIServer", None),
        ("vllm", None),
        ("python", None),
    ],
)
def test_its_engine_cores_and_workers_are_vital(name: str, process: str | None) -> None:
    assert vllm.name_vital_process(name) == process


@pytest.mark.parametrize(
    ("ended", "lines", "sentence"),
    [
        (Exit(None, 9), [], "vLLM's engine core was killed (SIGKILL)."),
        (Exit(None, 11), [], "vLLM's engine core crashed (killed by SIGSEGV)."),
        (Exit(0), [], "vLLM's engine core exited by itself (exit code 0)."),
        (Exit(1), ["ValueError: no"], "vLLM's engine core failed (exit code 1): ValueError: no."),
        (Exit(None), ["INFO GET /health"], "vLLM's engine core failed (exit code unknown)."),
        (Exit(None), ["ValueError: no"], "vLLM's engine core failed (exit code unknown): ValueError: no."),
        (
            Exit(None, 9),
            ["Engine core proc EngineCore died unexpectedly"],
            "vLLM's engine core was killed (SIGKILL).",
        ),
        (Exit(1), ["CUDA out of memory. Tried"], "the engine ran out of memory."),
    ],
)
def test_the_end_of_a_vital_process_is_explained(ended: Exit, lines: list[str], sentence: str) -> None:
    assert vllm.explain_exit(ended, lines, "vLLM's engine core").sentence == sentence
