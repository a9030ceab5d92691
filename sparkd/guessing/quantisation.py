"""Finds the quantisation of the weights. vLLM needs no flag for it, but not every machine supports it."""

from __future__ import annotations

from typing import Final, NamedTuple

from sparkd.catalog.messages import format_value
from sparkd.guessing.facts import Facts, JsonObject

KNOWN_METHODS: Final = {
    "fp8": "FP8",
    "fbgemm_fp8": "FP8",
    "awq": "AWQ",
    "gptq": "GPTQ",
    "compressed-tensors": "compressed-tensors",
    "modelopt": "ModelOpt",
    "modelopt_fp4": "NVFP4",
    "mxfp4": "MXFP4",
    "auto-round": "AutoRound",
    "quark": "Quark",
    "torchao": "TorchAO",
}
"""Methods that vLLM supports, by their `quant_method`, and their names for people."""

ON_CPU: Final = frozenset({"awq", "gptq", "compressed-tensors", "auto-round"})
"""Methods of which vLLM's CPU build supports some."""

FOUR_BITS: Final = ("nvfp4", "mxfp4")


class Quantisation(NamedTuple):
    """`method` as in config.json, `name` for people, `reason` the key or file that states it."""

    method: str
    name: str
    reason: str


def detect_quantisation(facts: Facts) -> Quantisation | None:
    """The quantisation of the weights, None if there is none. Raises ModelNotAdded for invalid values."""
    for key in ("quantization_config", "compression_config"):
        table = facts.text_config.table(key)
        if table.values:
            method = table.text("quant_method") or "compressed-tensors"
            return Quantisation(method, _name(method, table), f"{key}.quant_method")
    if "hf_quant_config.json" in facts.files:
        return Quantisation("modelopt", "ModelOpt", "hf_quant_config.json")
    return None


def _name(method: str, table: JsonObject) -> str:
    format_ = f"{table.text('format')} {table.text('quant_algo')}".lower()
    if found := next((bits for bits in FOUR_BITS if bits in format_), None):
        return found.upper()
    if bits := table.count("bits", 64):
        return f"{KNOWN_METHODS.get(method, format_value(method))}, {bits} bits"
    return KNOWN_METHODS.get(method, format_value(method))
