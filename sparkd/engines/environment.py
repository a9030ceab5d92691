"""The complete environment of an engine: it inherits only the variables named here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sparkd.catalog.definitions import Model
from sparkd.engines.engine import LaunchContext

INHERITED = frozenset(
    {
        *("HOME", "USER", "LOGNAME", "PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        "HF_ENDPOINT",
    }
)
"""Paths of programs and libraries, and network settings."""

TOKENS = frozenset({"HF_TOKEN", "HF_TOKEN_PATH"})
"""Access to gated models. Only for programs that download by themselves: code in a model repository could read it."""

INHERITED_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "NCCL_", "GLOO_")
"""Devices and networks to use. Not VLLM_: with an exported VLLM_PORT, two engines would use one port."""

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Used if sparkd itself has no PATH."""

CUDA_PROGRAMS = "/usr/local/cuda/bin"
"""Where NVIDIA's packages install nvcc, which compiles kernels at the first start."""


def inherit_variables(environ: Mapping[str, str], extra: frozenset[str] = frozenset()) -> dict[str, str]:
    """Return the part of sparkd's own environment that engines get; `extra` adds names."""
    return {
        name: value
        for name, value in environ.items()
        if name in INHERITED | extra or name.startswith(INHERITED_PREFIXES)
    }


def build_environment(
    model: Model, context: LaunchContext, engine_variables: Mapping[str, str], *, may_download: bool = False
) -> dict[str, str]:
    """Return the program's environment.

    Later sources win: inherited variables, those of the engine kind, the runtime's, the model's. TMPDIR is
    always the private folder, so that sockets of two engines cannot collide. `may_download`: the program may
    download models.
    """
    variables = {
        **inherit_variables(context.inherited, TOKENS if may_download else frozenset()),
        **engine_variables,
    }
    variables["PATH"] = _build_search_path(context, variables.get("PATH", SEARCH_PATH))
    if context.program is not None:
        variables["VIRTUAL_ENV"] = str(context.program.parent)
    return {
        **variables,
        **context.environment,
        **model.environment,
        "TMPDIR": str(context.directory),
    }


def model_file_variables(model: Model, context: LaunchContext) -> dict[str, str]:
    """Where the model's files are. Existing files are used as they are, whether or not the hub responds."""
    own = {"HF_HOME": str(context.models / "huggingface")}
    if model.needs_source:
        own["HF_HUB_OFFLINE"] = "1"
    if model.encodings:
        own["TIKTOKEN_ENCODINGS_BASE"] = str(context.models / "encodings")
    return own


def _build_search_path(context: LaunchContext, inherited_path: str) -> str:
    own = [str(context.program)] if context.program else []
    return ":".join([*own, inherited_path, CUDA_PROGRAMS])


def cache_folder(cache: Path, program: Path | None) -> Path:
    """Return the cache folder of a runtime's build, below `cache`. `program` is the folder of the build's programs."""
    return cache / (program.parent.name if program else "none")


def cache_variables(context: LaunchContext) -> dict[str, str]:
    """Return the cache folders of engines, one set per build of a runtime: stale caches break upgrades.

    Also limits parallel compilation, so that it does not use up the machine's memory.
    """
    cache = cache_folder(context.cache, context.program)
    return {
        # Many libraries always write below the home folder; a system user has none.
        "HOME": str(cache),
        "XDG_CACHE_HOME": str(cache),
        "XDG_CONFIG_HOME": str(cache / "config"),
        "TRITON_CACHE_DIR": str(cache / "triton"),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "torchinductor"),
        "FLASHINFER_WORKSPACE_BASE": str(cache),
        "CUDA_CACHE_PATH": str(cache / "cuda"),
        # Copies of Python code from models. Transformers does not replace a damaged copy.
        "HF_MODULES_CACHE": str(cache / "huggingface_modules"),
        # More compilers at once have used up the memory of whole machines.
        "MAX_JOBS": "2",
        "FLASHINFER_NVCC_THREADS": "1",
        "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
    }
