"""The whole environment of an engine: nothing is inherited but what is named here."""

from __future__ import annotations

from collections.abc import Mapping

from sparkd.catalog.definitions import Model
from sparkd.engines.engine import Surroundings

INHERITED = frozenset(
    {
        *("HOME", "USER", "LOGNAME", "PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        "HF_ENDPOINT",
    }
)
"""Where programs and libraries are, and how the world is reached."""

TOKENS = frozenset({"HF_TOKEN", "HF_TOKEN_PATH"})
"""What opens gated models. Only for programs that fetch by themselves: code that a model brings could read it."""

INHERITED_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "NCCL_", "GLOO_")
"""Which devices and networks to use. Not VLLM_: an exported VLLM_PORT makes two engines fight for one port."""

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where sparkd itself has no PATH."""

CUDA_PROGRAMS = "/usr/local/cuda/bin"
"""Where NVIDIA's packages put nvcc, which kernels are compiled with at the first start."""


def inherited(environ: Mapping[str, str], also: frozenset[str] = frozenset()) -> dict[str, str]:
    """Return the part of sparkd's own environment that engines get; `also` names more of it."""
    return {
        name: value
        for name, value in environ.items()
        if name in INHERITED | also or name.startswith(INHERITED_PREFIXES)
    }


def environment(
    model: Model, surroundings: Surroundings, own: Mapping[str, str], *, fetches: bool = False
) -> dict[str, str]:
    """Return what the program finds in its environment; later ones win.

    What is inherited, what its kind of engine needs (`own`), its runtime's, its model's. TMPDIR is the private
    folder whatever anybody says: sockets of two engines must not meet. `fetches`: the program may fetch models.
    """
    whole = {**inherited(surroundings.inherited, TOKENS if fetches else frozenset()), **own}
    whole["PATH"] = _search_path(surroundings, whole.get("PATH", SEARCH_PATH))
    if surroundings.program is not None:
        whole["VIRTUAL_ENV"] = str(surroundings.program.parent)
    return {
        **whole,
        **surroundings.environment,
        **model.environment,
        "TMPDIR": str(surroundings.directory),
    }


def files_on_disk(model: Model, surroundings: Surroundings) -> dict[str, str]:
    """Where the model's files are. What is there is used as it is, whether the hub answers or not."""
    own = {"HF_HOME": str(surroundings.models / "huggingface")}
    if model.takes_source:
        own["HF_HUB_OFFLINE"] = "1"
    if model.encodings:
        own["TIKTOKEN_ENCODINGS_BASE"] = str(surroundings.models / "encodings")
    return own


def _search_path(surroundings: Surroundings, inherited_path: str) -> str:
    own = [str(surroundings.program)] if surroundings.program else []
    return ":".join([*own, inherited_path, CUDA_PROGRAMS])


def caches(surroundings: Surroundings) -> dict[str, str]:
    """Return where engines of a runtime keep what they may build again: per build of it, as stale ones break upgrades.

    And what keeps them from compiling more at once than the machine's memory holds.
    """
    build = surroundings.program.parent.name if surroundings.program else "none"
    cache = surroundings.cache / build
    return {
        # Many libraries write below the home folder whatever they are told; a system user has none.
        "HOME": str(cache),
        "XDG_CACHE_HOME": str(cache),
        "XDG_CONFIG_HOME": str(cache / "config"),
        "TRITON_CACHE_DIR": str(cache / "triton"),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "torchinductor"),
        "FLASHINFER_WORKSPACE_BASE": str(cache),
        "CUDA_CACHE_PATH": str(cache / "cuda"),
        # More compilers at once than this have run whole machines out of memory.
        "MAX_JOBS": "2",
        "FLASHINFER_NVCC_THREADS": "1",
        "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
    }
