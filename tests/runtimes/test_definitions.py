"""The runtimes that come with sparkd are sane, as far as that can be checked without building them."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sparkd.runtimes import reference
from tests.models import CLONE, VENVS

RUNTIMES = {runtime.name: runtime for runtime in reference.shipped_runtimes()}
GPU = ["sglang", "vllm", "vllm-mxfp4"]
TRACKS = [
    "avarok",
    "avarok-tf5",
    "christopherowen-v12",
    "glm47-tf5",
    "mxfp4",
    "ngc-vllm-25.10",
    "sglang-scitrera",
    "standard-upstream",
    "tf5-gemma4-overlay",
    "tf5-local",
    "tf5-qwen35-overlay",
    "tf5-upstream",
]


def pins(name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([a-z0-9.-]+)==(\S+)", lock(name), re.MULTILINE):
        found.setdefault(package, set()).add(version)
    return found


def lock(name: str) -> str:
    return (VENVS / name / "requirements.lock").read_text()


def check(scripts: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(scripts / "lock-runtimes"), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_there_is_a_runtime_for_every_kind_of_engine_except_command() -> None:
    assert sorted(RUNTIMES) == ["cpu", *GPU]


def test_the_locks_are_made_from_what_their_input_says_now() -> None:
    ran = check(CLONE / "scripts")
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    ("file", "old", "new", "output"),
    [
        (
            "vllm/requirements.in",
            "0.33.0",
            "0.34.0",
            "venvs/vllm/requirements.lock was made from other input",
        ),
        ("vllm/overrides.in", "certifi", "click", "venvs/vllm/requirements.lock was made from other input"),
        ("vllm/requirements.lock", "vllm==0.33.0", "vllm==0.32.0", "has vllm 0.32.0, not 0.33.0"),
        ("vllm-mxfp4/runtime.toml", 'builds = ["vllm"]', "builds = []", "was made from other input"),
        (
            "sglang/requirements.lock",
            "\nsglang==",
            "\nhttps://example.org/x\nsglang==",
            "contains a URL",
        ),
    ],
)
def test_an_outdated_lock_is_reported(tmp_path: Path, file: str, old: str, new: str, output: str) -> None:
    for name in ("scripts/lock-runtimes", *(str(path.relative_to(CLONE)) for path in VENVS.glob("*/*.*"))):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((CLONE / name).read_text())
    text = (tmp_path / "venvs" / file).read_text()
    assert old in text
    (tmp_path / "venvs" / file).write_text(text.replace(old, new))
    ran = check(tmp_path / "scripts")
    assert ran.returncode == 1
    assert output in ran.stderr


def test_a_changed_comment_makes_no_lock_outdated(tmp_path: Path) -> None:
    for name in ("scripts/lock-runtimes", *(str(path.relative_to(CLONE)) for path in VENVS.glob("*/*.*"))):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((CLONE / name).read_text())
    with (tmp_path / "venvs/vllm/requirements.in").open("a") as file:
        file.write("\n# more text\n")
    assert check(tmp_path / "scripts").returncode == 0


@pytest.mark.parametrize("name", GPU)
def test_what_a_build_asserts_is_what_its_lock_pins(name: str) -> None:
    found = pins(name)
    assert len(found) > 100
    assert {
        package: {version} for package, version in RUNTIMES[name].versions.items()
    }.items() <= found.items()


@pytest.mark.parametrize("name", GPU)
def test_a_runtime_for_the_gpu_asserts_cuda_13_and_has_its_libraries(name: str) -> None:
    assert RUNTIMES[name].cuda == "13"
    assert [version for version in pins(name)["nvidia-cuda-runtime"] if version.startswith("13.")]
    assert "-cu12" not in lock(name).replace("nvidia-cutlass-dsl-libs-cu12", "")


@pytest.mark.parametrize("name", GPU)
def test_compilers_are_few_and_caches_of_others_are_not_named(name: str) -> None:
    found = RUNTIMES[name].environment
    assert (found["MAX_JOBS"], found["FLASHINFER_NVCC_THREADS"]) == ("2", "1")
    assert found["PYTORCH_CUDA_ALLOC_CONF"] == "expandable_segments:True"
    assert not [variable for variable in found if "CACHE" in variable]


def test_what_the_forks_build_is_not_in_their_lock() -> None:
    built = {package for step in RUNTIMES["vllm-mxfp4"].steps for package in step.builds}
    assert built == {"flashinfer-python", "flashinfer-jit-cache", "vllm"}
    assert not built & pins("vllm-mxfp4").keys()


def test_patches_are_the_ones_that_are_pinned() -> None:
    for runtime in RUNTIMES.values():
        for step in runtime.steps:
            for patch in step.patches:
                content = (runtime.folder / patch.file).read_bytes()
                assert hashlib.sha256(content).hexdigest() == patch.sha256, patch.file


def test_the_tables_in_the_guide_are_in_step() -> None:
    assert reference.render_page() == reference.FILE.read_text(), "run: python -m sparkd.runtimes.reference"


def test_every_former_image_is_served_by_a_runtime_that_there_is() -> None:
    tracks = reference.read_tracks_file().tracks
    assert [one.track for one in tracks] == TRACKS
    assert {one.runtime for one in tracks} <= RUNTIMES.keys()


def test_what_became_of_each_of_the_six_mods_is_documented() -> None:
    output = [one.mod for one in reference.read_tracks_file().mods]
    assert len(set(output)) == len(output)
    assert {name for name in output if name.startswith("fix-")} == {
        "fix-glm-4.7-flash-AWQ",
        "fix-qwen3-coder-next",
        "fix-qwen3-next-autoround",
        "fix-qwen3.5-autoround",
        "fix-qwen3.5-chat-template",
        "fix-qwen3.5-moe-runtime",
    }
