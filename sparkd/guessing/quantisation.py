"""How the weights are stored. vLLM reads it from the model's files and needs no flag; what matters is where it runs."""

from __future__ import annotations

from typing import Final, NamedTuple

from sparkd.catalog.wording import shown
from sparkd.guessing.facts import Facts, Table

KNOWN: Final = {
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
"""Methods that vLLM reads, as `quant_method` names them, and their names for people."""

ON_CPU: Final = frozenset({"awq", "gptq", "compressed-tensors", "auto-round"})
"""Those of which vLLM's CPU build knows some."""

FOUR_BITS: Final = ("nvfp4", "mxfp4")


class Quantisation(NamedTuple):
    """`method` as config.json has it, `name` for people, `reason` where it is from."""

    method: str
    name: str
    reason: str


def quantisation_of(facts: Facts) -> Quantisation | None:
    """How the weights are quantised, None where they are not. Raises ModelNotAdded for nonsense."""
    for key in ("quantization_config", "compression_config"):
        table = facts.text_config.table(key)
        if table.values:
            method = table.text("quant_method") or "compressed-tensors"
            return Quantisation(method, _name(method, table), f"{key}.quant_method")
    if "hf_quant_config.json" in facts.files:
        return Quantisation("modelopt", "ModelOpt", "hf_quant_config.json")
    return None


def _name(method: str, table: Table) -> str:
    format_ = f"{table.text('format')} {table.text('quant_algo')}".lower()
    if found := next((bits for bits in FOUR_BITS if bits in format_), None):
        return found.upper()
    if bits := table.count("bits", 64):
        return f"{KNOWN.get(method, shown(method))}, {bits} bits"
    return KNOWN.get(method, shown(method))
