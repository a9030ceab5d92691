"""How vLLM starts from a process that has imported its modules already.

The modules are those that the API server, the engine core and the worker of vLLM 0.32 import before they load a model.
They are private to vLLM and change between versions: what is missing is imported later, by the engine itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sparkd.catalog.definitions import Model
from sparkd.engines.engine import WarmStart
from sparkd.engines.flags import find_option

API_SERVER_MODULES: Final = (
    *("vllm.entrypoints.cli.main", "vllm.entrypoints.cli.serve", "vllm.entrypoints.cli.collect_env"),
    *("vllm.entrypoints.openai.api_server", "vllm.entrypoints.launchers.run_batch"),
    *("vllm.v1.engine.async_llm", "vllm.renderers.hf"),
    # The rest is imported by functions, when the server already has its core.
    "vllm.entrypoints.openai.chat_completion.api_router",
    "vllm.entrypoints.openai.completion.api_router",
    "vllm.entrypoints.openai.responses.api_router",
    "vllm.entrypoints.anthropic.api_router",
    "vllm.entrypoints.generate.generative_scoring.api_router",
    "vllm.entrypoints.generate.structured_decisions.api_router",
    "vllm.entrypoints.pooling.embed.api_router",
    "vllm.entrypoints.pooling.pooling.api_router",
    "vllm.entrypoints.pooling.scoring.api_router",
    "vllm.entrypoints.scale_out.derender.api_router",
    "vllm.entrypoints.scale_out.render.api_router",
    "vllm.entrypoints.scale_out.token_in_token_out.api_router",
    "vllm.entrypoints.serve.instrumentator.metrics",
    "vllm.entrypoints.serve.profile.api_router",
    "vllm.entrypoints.serve.tokenize.api_router",
    "model_hosting_container_standards.sagemaker",
    *("uvicorn.lifespan.on", "uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto"),
)
"""What the API server imports, from its command line to its first request."""

CORE_MODULES: Final = (
    "vllm.v1.engine.core",
    *("vllm.v1.core.sched.scheduler", "vllm.v1.core.sched.async_scheduler"),
    *("vllm.v1.executor.multiproc_executor", "vllm.v1.executor.uniproc_executor"),
)
"""What the engine core imports."""

WORKER_MODULES: Final = (
    *("vllm.v1.worker.gpu_worker if cuda", "vllm.v1.worker.gpu_model_runner if cuda"),
    "vllm.v1.worker.gpu.model_runner if cuda",
    "vllm.v1.attention.backends.flash_attn if cuda",
    "vllm.v1.attention.backends.flashinfer if cuda",
    "vllm.v1.attention.backends.triton_attn if cuda",
    *("vllm.v1.worker.cpu_worker if cpu", "vllm.v1.worker.cpu_model_runner if cpu"),
    "vllm.v1.attention.backends.cpu_attn if cpu",
    "vllm.model_executor.models.llama",
    "vllm.model_executor.model_loader.default_loader",
    "vllm.model_executor.layers.quantization.online.base",
    "vllm.distributed.elastic_ep.elastic_execute",
    "vllm.compilation.backends",
)
"""What a worker imports until it has loaded a model."""

MAX_STOP_STRINGS: Final = "1024"
"""vLLM's limit of stop strings, which is 4 by default. It reads the variable when it imports its request types."""

WARM_START: Final = WarmStart(
    # PyTorch first: what asks for the GPU's capability at its import must come later, see NvmlCapability.
    modules=("torch", *API_SERVER_MODULES, *CORE_MODULES, *WORKER_MODULES),
    environment=MappingProxyType(
        {
            # `vllm serve` uses spawn unless this is set. vLLM itself falls back to spawn where CUDA is initialised.
            "VLLM_WORKER_MULTIPROC_METHOD": "fork",
            # torch.cuda.is_available() initialises CUDA otherwise, and a fork of such a process cannot use it.
            "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
            "VLLM_MAX_STOP_STRINGS": MAX_STOP_STRINGS,
        }
    ),
    early_phases=("reading the model's configuration", "starting the engine core"),
)

SPAWNING_OPTIONS: Final = {
    "numa-bind": (True, "numa-bind starts processes through another program"),
    "mm-tensor-ipc": ("torch_shm", "mm-tensor-ipc torch_shm fails in forked processes"),
}
"""Options with which vLLM needs processes that are not forked (vllm/utils/numa_utils.py, vllm/config/vllm.py)."""


def find_warm_obstacle(model: Model, environment: Mapping[str, str]) -> str | None:
    """Return why the model must start cold with these variables, None if it may start warm."""
    if environment.get("VLLM_ENABLE_V1_MULTIPROCESSING") == "0":
        return "its engine core is part of the API server, which cannot wait for memory"
    return next(
        (
            reason
            for option, (value, reason) in SPAWNING_OPTIONS.items()
            if find_option(model.options, option) == value
        ),
        None,
    )
