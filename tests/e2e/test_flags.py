"""`sparkctl check --runtime` with vLLM's real parser, for the shipped models and for deliberate mistakes.

One process checks all of them, which takes about ten seconds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest
import tomli_w

from sparkd.catalog.reading import read_catalogue
from tests.models import CLONE, RUNTIMES, VENVS, cpu_folder

STOCK = "vllm"
"""The runtime that has the same flags as the cpu runtime: both are unmodified vLLM."""

LABELS = {"runtime": "cpu", "source": "org/mine", "status": "disabled", "reason": "wrong on purpose"}
GOOD: dict[str, Any] = {
    "attention-backend": "flashinfer",
    "compilation-config": '{"cudagraph_mode": "PIECEWISE"}',
    "enable-auto-tool-choice": True,
    "enable-prefix-caching": False,
    "hf-overrides": '{"rope_scaling": null}',
    "kv-cache-dtype": "fp8",
    "limit-mm-per-prompt.image": 1,
    "load-format": "fastsafetensors",
    "max_num_seqs": 4,
    "moe-backend": "CUTLASS",
    "quantization": "mxfp4",
    "reasoning-parser": "openai_gptoss",
    "speculative-config": '{"method": "mtp", "num_speculative_tokens": 1}',
    "tokenizer-mode": "mistral",
    "tool-call-parser": "openai",
}
WRONG: dict[str, tuple[Any, str]] = {
    "disable-log-requests": (True, 'has no such flag; there is "enable-log-requests"'),
    "mxfp4-backend": ("CUTLASS", 'has no such flag; did you mean "moe-backend"?'),
    "max-num-batched-token": (8192, "is an abbreviation of --max-num-batched-tokens; use the full name"),
    "enforce-eager": ("true", "does not take 'true'"),
    "kv-cache-dtype": ("fp9", '; did you mean "fp8"?'),
    "attention-backend": ("FLASHINFR", '; did you mean "FLASHINFER"?'),
    "mamba-backend": ("tritn", '; did you mean "TRITON"?'),
    "quantization": ("mxfp", '; did you mean "mxfp8"?'),
    "load-format": ("fastsafetensor", '; did you mean "fastsafetensors"?'),
    "tokenizer-mode": ("mistrl", '; did you mean "mistral"?'),
    "tool-call-parser": ("opnai", '; did you mean "openai"?'),
    "reasoning-parser": ("qwen", '; did you mean "qwen3"?'),
    "speculative-config": ('{"methd": "mtp"}', "has no key 'methd'"),
    "compilation-config": ('{"cudagraph_mde": "x"}', "cudagraph_mde: Unexpected keyword argument"),
    "hf_overrides": ("{oops", "expected JSON"),
    "max-num-seqs": (0, "should be greater than or equal to 1"),
    "gpu-memory-utilization": (1.7, "should be less than or equal to 1"),
    "chat-template": ("./nowhere.jinja", "doesn't exist"),
}
"""Options that vLLM rejects, and the text that the message about each must contain."""


@pytest.fixture(scope="module")
def check_report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the command's report about the shipped models and two of our own."""
    cpu_folder()
    folder = tmp_path_factory.mktemp("flags")
    shutil.copy(CLONE / "models.toml", folder)
    (folder / "models.d").mkdir()
    (folder / "models.d" / "mine.toml").write_text(
        tomli_w.dumps(
            {
                "paths": {"venvs": str(VENVS), "runtimes": str(RUNTIMES)},
                "models": {
                    "good": {**LABELS, "options": GOOD, "environment": {"VLLM_LOGGING_LEVEL": "DEBUG"}},
                    "wrong": {
                        **LABELS,
                        "options": {name: value for name, (value, _) in WRONG.items()},
                        "environment": {"VLLM_LOGING_LEVEL": "DEBUG"},
                    },
                    "toolless": {**LABELS, "options": {"enable-auto-tool-choice": True}},
                },
            }
        )
    )
    stock = ["--stand-in", f"{STOCK}=cpu"] if STOCK in read_catalogue(folder / "models.toml").runtimes else []
    ran = subprocess.run(
        [sys.executable, "-m", "sparkd.cli", "check", "--runtime", "--all", "--json", *stock],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("SPARKD_")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 1, ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    return report


def about(check_report: dict[str, Any], model: str) -> list[str]:
    return [line for line in check_report["problems"] if f"mine.toml: models.{model}" in line]


def test_vllm_accepts_the_flags_of_every_shipped_model(check_report: dict[str, Any]) -> None:
    ours = [line for model in ("good", "wrong", "toolless") for line in about(check_report, model)]
    assert [line for line in check_report["problems"] if line not in ours] == []
    assert check_report["parsers"][0]["runtime"] == "cpu"


def test_correct_flags_of_every_kind_are_accepted(check_report: dict[str, Any]) -> None:
    assert about(check_report, "good") == []


@pytest.mark.parametrize("option", WRONG)
def test_an_option_that_vllm_would_reject_is_reported(option: str, check_report: dict[str, Any]) -> None:
    (line,) = [line for line in about(check_report, "wrong") if f".options.{option} = " in line]
    assert WRONG[option][1] in line


def test_an_unknown_vllm_variable_is_reported(check_report: dict[str, Any]) -> None:
    (line,) = [line for line in about(check_report, "wrong") if ".environment." in line]
    assert line.endswith('knows no such variable; did you mean "VLLM_LOGGING_LEVEL"?')


def test_combinations_that_vllm_checks_are_reported(check_report: dict[str, Any]) -> None:
    (line,) = about(check_report, "toolless")
    assert line.endswith("= true: --enable-auto-tool-choice requires --tool-call-parser")
