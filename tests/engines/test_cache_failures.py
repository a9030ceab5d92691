"""Failures to read a compile cache, as real engines log them.

The files in logs/ are from vLLM 0.32 whose caches were damaged: one kind of file was emptied, filled with zeros, or cut
off. The other texts are from Triton 3.9, FlashInfer 0.6 and 0.7, GNU ld and transformers 5.19.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkd.engines import ENGINES
from sparkd.engines.cache_failures import find_cache_failure, may_have_broken_cache
from sparkd.engines.engine import Exit

LOGS = Path(__file__).parent / "logs"
FOLDER = "/var/lib/sparkd/cache/cpu-0123456789ab"
PACKAGES = "/var/lib/sparkd/runtimes/cpu-0123456789ab/lib/python3.12/site-packages"
FLASHINFER = f"{FOLDER}/.cache/flashinfer/0.6.4/121a/cached_ops/norm"

TRITON_METADATA = f"""\
(EngineCore pid=41) ERROR Traceback (most recent call last):
(EngineCore pid=41) ERROR   File "{PACKAGES}/triton/compiler/compiler.py", line 412, in __init__
(EngineCore pid=41) ERROR     metadata = json.loads(metadata_path.read_text())
(EngineCore pid=41) ERROR                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
(EngineCore pid=41) ERROR   File "/usr/lib/python3.12/json/__init__.py", line 346, in loads
(EngineCore pid=41) ERROR     return _default_decoder.decode(s)
(EngineCore pid=41) ERROR   File "/usr/lib/python3.12/json/decoder.py", line 355, in raw_decode
(EngineCore pid=41) ERROR     raise JSONDecodeError("Expecting value", s, err.value) from None
(EngineCore pid=41) ERROR json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)
"""

MODULE_CUT_OFF = f"""\
  File "<frozen importlib._bootstrap>", line 241, in _call_with_frames_removed
  File "{FOLDER}/huggingface_modules/transformers_modules/org/name/{"a" * 40}/configuration_x.py", line 1
    from transformers import (
                             ^
SyntaxError: '(' was never closed
"""

COMPILED_CODE_OUT_OF_MEMORY = f"""\
  File "{PACKAGES}/torch/_inductor/output_code.py", line 466, in __call__
    return self.current_callable(inputs)
  File "{FOLDER}/vllm/torch_compile_cache/ea2d23402a/rank_0_0/inductor_cache/bx/cbxnsxbx.py", line 370, in call
    buf0 = empty_strided_cuda((s0, 4096), (4096, 1), torch.bfloat16)
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.
"""

COMPILER_ERROR = f"""\
  File "{PACKAGES}/torch/_inductor/runtime/compile_tasks.py", line 35, in _reload_python_module
    exec(code, mod.__dict__, mod.__dict__)
  File "{FOLDER}/torchinductor/gg/cggmsxr2.py", line 33, in <module>
  File "{PACKAGES}/torch/_inductor/cpp_builder.py", line 586, in run_compile_cmd
    raise exc.CppCompileError(cmd, output)
torch._inductor.exc.InductorError: CppCompileError: C++ compile error
"""

RECOVERED = f"""\
(Worker pid=9) WARNING 11-28 08:13:00 [decorators.py:333] [backbone] Compiling model again due to a load failure from \
{FOLDER}/vllm/torch_compile_cache/torch_aot_compile/b2e6/rank_0_0/model, reason: Compile cache file corrupted.
Triton cache error: compiled module cuda_utils.so could not be loaded
ValueError: The model's quantization is not supported.
"""


def explain(lines: list[str]) -> str | None:
    """Return the evidence, as far as the cause of the exit allows any."""
    if not may_have_broken_cache(ENGINES["vllm"].explain_exit(Exit(1), lines)):
        return None
    return find_cache_failure(lines, [FOLDER])


@pytest.mark.parametrize(
    ("log", "evidence"),
    [
        ("inductor-library-empty", "file too short"),
        ("inductor-library-zeroed", "invalid ELF header"),
        ("inductor-library-end-zeroed", "SystemError: kernel() method: bad call flags"),
        ("inductor-source-empty", "has no attribute 'call'"),
        ("inductor-source-zeroed", "Failed to import"),
        ("inductor-source-cut-off", "Failed to import"),
        ("vllm-index-empty", "SyntaxError: invalid syntax (<unknown>, line 0)"),
        ("vllm-index-zeroed", "SyntaxError: source code string cannot contain null bytes"),
        ("vllm-index-cut-off", "SyntaxError: unterminated string literal"),
        ("vllm-artifact-empty", "AssertionError: Input data is too short to contain checksum"),
        ("vllm-artifact-zeroed", "RuntimeError: Bytes object is corrupted, checksum does not match."),
    ],
)
def test_a_real_log_shows_that_a_cache_is_damaged(log: str, evidence: str) -> None:
    found = explain((LOGS / f"{log}.log").read_text().splitlines())
    assert found is not None
    assert evidence in found


@pytest.mark.parametrize("log", ["inductor-library-cut-off", "other-failure-while-compiling"])
def test_a_real_log_without_evidence(log: str) -> None:
    """A worker that died of SIGBUS leaves no message; a compiler may fail on an intact cache."""
    assert explain((LOGS / f"{log}.log").read_text().splitlines()) is None


@pytest.mark.parametrize(
    "text",
    [
        TRITON_METADATA,
        MODULE_CUT_OFF,
        f"ImportError: {FOLDER}/triton/XU5D/cuda_utils.cpython-312-x86_64-linux-gnu.so: file too short",
        f"OSError: {FLASHINFER}/sampling.so: invalid ELF header",
        f"OSError: {FOLDER}/.cache/flashinfer/90/cached_ops/norm/norm.so: invalid ELF header",
        f"RuntimeError: Check failed: (lib_handle_ != nullptr) is false: {FLASHINFER}/norm.so: file too short",
        f"/usr/bin/ld: error: {FLASHINFER}/norm.cuda.o: file too short",
        f"{FLASHINFER}/norm.cuda.o: file not recognized: file format not recognized",
        "RuntimeError: Triton Error [CUDA]: device kernel image is invalid",
        "RuntimeError: vLLM failed to compile the model. … leading to a corrupted compilation artifact.",
        "AttributeError: module 'transformers_modules.org.name.a1b2.configuration_x' has no attribute 'MyConfig'",
    ],
)
def test_other_libraries_messages_show_that_a_cache_is_damaged(text: str) -> None:
    assert explain(text.splitlines()) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        COMPILED_CODE_OUT_OF_MEMORY,
        COMPILER_ERROR,
        RECOVERED,
        f"{COMPILER_ERROR}RuntimeError: Engine core initialization failed. See root cause above.",
        "ImportError: /opt/other/triton/XU5D/cuda_utils.so: file too short",
        f"OSError: [Errno 28] No space left on device: '{FOLDER}/triton/XU5D/tmp.pid_7'",
        f"PermissionError: [Errno 13] Permission denied: '{FOLDER}/triton/XU5D/k.json'",
        f"{TRITON_METADATA}CUDA out of memory",
        "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
    ],
)
def test_other_failures_are_no_evidence(text: str) -> None:
    assert explain(text.splitlines()) is None


def test_the_folder_may_have_several_paths() -> None:
    [line] = [f"ImportError: {FOLDER}/triton/XU5D/cuda_utils.so: file too short"]
    assert find_cache_failure([line], ["/state/cache/cpu-0123456789ab", FOLDER]) == line
    assert find_cache_failure([line], ["/state/cache/cpu-0123456789ab"]) is None
