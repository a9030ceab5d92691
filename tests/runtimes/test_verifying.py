"""Checks after a build: PyTorch for CUDA, checks only for machines with a GPU, and downloads for them."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from sparkd.errors import RuntimeBuildError
from sparkd.runtimes import build, environment_of, list_builds
from tests.runtimes.tiny import Tiny, make_wheel


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return Tiny(tmp_path)


@pytest.fixture
def gpu(tmp_path: Path) -> Path:
    """What /dev looks like on a machine with NVIDIA's driver."""
    devices = tmp_path / "dev"
    devices.mkdir()
    (devices / "nvidiactl").touch()
    return devices


def torch(tiny: Tiny, cuda: str) -> None:
    """A torch that says what it was built for, as the real one does, and a runtime that wants CUDA 13."""
    module = f"class version: cuda = {cuda}\ndef main(): pass\n"
    make_wheel(tiny.wheels, "torch", "9.9", module=module)
    tiny.define("torch==9.9\n", cuda="13")


def test_a_pytorch_for_the_right_cuda_is_taken(tiny: Tiny) -> None:
    torch(tiny, '"13.0"')
    assert tiny.build().is_dir()


@pytest.mark.parametrize(
    ("cuda", "found"), [("None", "a build without CUDA"), ('"12.8"', "a build for CUDA 12.8")]
)
def test_another_pytorch_in_its_place_fails_the_build(tiny: Tiny, cuda: str, found: str) -> None:
    torch(tiny, cuda)
    with pytest.raises(RuntimeBuildError) as caught:
        tiny.build()
    assert caught.value.message.startswith(
        f"Runtime 'tiny' is not valid: its torch 9.9 is {found}, not for CUDA 13. "
    )
    assert list_builds(tiny.root) == []


def test_a_runtime_for_cuda_without_pytorch_fails_the_build(tiny: Tiny) -> None:
    tiny.define(tiny.lock, cuda="13")
    with pytest.raises(RuntimeBuildError, match="No module named 'torch'"):
        tiny.build()


def with_gpu(tiny: Tiny, devices: Path) -> Path:
    return build(tiny.runtime, tiny.root, tiny.lines.append, inherited=tiny.environment, devices=devices)


def test_what_is_for_gpus_is_done_only_on_machines_that_have_one(tiny: Tiny, gpu: Path) -> None:
    tiny.define(tiny.lock, fetch=(("tiny",),), smoke_gpu=(("tiny", "--fail"),))
    assert tiny.build().is_dir()
    tiny.define(tiny.lock, description="changed", fetch=(("tiny",),), smoke_gpu=(("tiny", "--fail"),))
    with pytest.raises(RuntimeBuildError, match="`tiny --fail` failed"):
        with_gpu(tiny, gpu)
    assert "Fetching with `tiny` …" in tiny.lines


FETCH = """
import subprocess, sys
def main():
    uv = ["uv", "pip", "install", "--python", sys.executable, "--find-links", sys.argv[1], "kernels"]
    sys.exit(subprocess.run(uv).returncode)
"""
"""A program of a virtualenv that installs into it with the uv it finds, as `vllm download-kernels` does."""


def test_what_is_fetched_becomes_part_of_the_build(tiny: Tiny, gpu: Path) -> None:
    make_wheel(tiny.wheels, "kernels", "3.0")
    make_wheel(tiny.wheels, "fetch", "1.0", module=FETCH)
    tiny.define("fetch==1.0\n", fetch=(("fetch", str(tiny.wheels)),))
    with_gpu(tiny, gpu)
    assert list_builds(tiny.root)[0].record.versions == {"fetch": "1.0", "kernels": "3.0"}


def test_a_failed_fetch_is_reported_and_does_not_fail_the_build(tiny: Tiny, gpu: Path) -> None:
    tiny.define(tiny.lock, fetch=(("tiny", "--fail"), ("absent",)))
    assert with_gpu(tiny, gpu).is_dir()
    output = "\n".join(tiny.lines)
    assert "`tiny --fail` failed: tiny failed (exit code 3)\n    first I looked\n    then I fell" in output
    assert "`absent` failed: " in output
    assert "The build continues" in output


def test_variables_for_one_kind_of_machine_are_not_another_s(tiny: Tiny) -> None:
    tiny.define(tiny.lock, environment={"A": "1", "B": "1"}, environment_aarch64={"B": "2"})
    arm = platform.machine() == "aarch64"
    assert environment_of(tiny.runtime) == {"A": "1", "B": "2" if arm else "1"}
