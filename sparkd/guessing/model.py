"""Guesses the entry of a model in the catalogue from its files, each key with its reason."""

from __future__ import annotations

import re
from typing import Final

from sparkd.catalog.messages import format_value
from sparkd.catalog.names import RESERVED_PATH_SEGMENTS, is_id
from sparkd.catalog.nearest import did_you_mean
from sparkd.errors import ModelNotAdded
from sparkd.guessing.chat import guess_chat
from sparkd.guessing.facts import Facts, Machine
from sparkd.guessing.families import find_family
from sparkd.guessing.guess import AS_GIVEN, AddOptions, GuessedEntry
from sparkd.guessing.kind import Kind, determine_kind
from sparkd.guessing.labels import guess_labels
from sparkd.guessing.quantisation import KNOWN_METHODS, ON_CPU, detect_quantisation
from sparkd.guessing.sizing import guess_sizes

GPU_RUNTIME: Final = "vllm"
CPU_RUNTIME: Final = "cpu"

VISION_FILES: Final = ("preprocessor_config.json", "processor_config.json", "image_processor_config.json")

FULL_WIDTH: Final = "float32"
"""The number type of vLLM without a GPU: in bfloat16, SmolLM2 forgets the capital of France."""

CPU_REQUESTS: Final = 8
"""Requests at once without a GPU; more of them slow all of them down."""


def guess_model(facts: Facts, machine: Machine, options: AddOptions) -> GuessedEntry:
    """Guess everything about a model. Raises ModelNotAdded if it cannot be guessed."""
    entry = GuessedEntry(_choose_id(facts, options))
    kind, reason = determine_kind(facts)
    gpu = _guess_runtime(entry, machine, options)
    _guess_source(entry, facts, options)
    if options.family is not None:
        entry.add("family", options.family, AS_GIVEN)
    _guess_engine_options(entry, facts, gpu=gpu)
    guess_sizes(entry, facts, machine, options, kind, gpu=gpu)
    if kind == "chat":
        _guess_vision(entry, facts)
        guess_chat(entry, facts, machine, options)
    else:
        _guess_pooling(entry, machine, kind, reason)
    if "rerank" in facts.name.lower() and facts.architecture.endswith("ForCausalLM"):
        entry.warnings.append("a reranker made from a chat model needs the option hf-overrides; see its page")
    _check_remote_code(entry, facts, options)
    guess_labels(entry, facts, kind)
    return entry


def _choose_id(facts: Facts, options: AddOptions) -> str:
    if options.id is not None:
        return options.id
    name = re.sub(r"[^a-z0-9._-]+", "-", facts.name.lower()).strip("._-")[:100]
    if not is_id(name) or name in RESERVED_PATH_SEGMENTS:
        raise ModelNotAdded(f'"{facts.name}" cannot be turned into an id. Choose one with --id')
    return name


def _guess_runtime(entry: GuessedEntry, machine: Machine, options: AddOptions) -> bool:
    """Guess the runtime, and return whether it uses the GPU."""
    family = machine.families.get(options.family or "") if machine.gpu else None
    name = options.runtime or family or (GPU_RUNTIME if machine.gpu else CPU_RUNTIME)
    if name not in machine.runtimes:
        detail = (
            did_you_mean(name, machine.runtimes) or f"; there are {', '.join(machine.runtimes) or 'none'}"
        )
        which = "" if options.runtime else ", the default on this machine (choose another with --runtime)"
        raise ModelNotAdded(f'there is no runtime "{name}"{which}{detail}')
    detail = f"family {options.family}" if family else f"this machine has {'a' if machine.gpu else 'no'} GPU"
    entry.add("runtime", name, AS_GIVEN if options.runtime else detail)
    return name != CPU_RUNTIME


def _guess_source(entry: GuessedEntry, facts: Facts, options: AddOptions) -> None:
    entry.add("source", facts.source, AS_GIVEN)
    if options.revision is not None:
        entry.add("revision", options.revision, AS_GIVEN)
    if facts.has_weights(".bin", ".pth") and not facts.has_weights(".safetensors"):
        entry.warnings.append(
            "the weights are pickles (.bin), which can run code while they load. Prefer a repository with safetensors"
        )


def _guess_engine_options(entry: GuessedEntry, facts: Facts, *, gpu: bool) -> None:
    """Guess the flags that depend on the machine and on the format of the weights."""
    quantisation = detect_quantisation(facts)
    if quantisation is not None:
        entry.notes.append(
            f"the weights are quantised: {quantisation.name} ({quantisation.reason}); vLLM needs no flag for it"
        )
        if quantisation.method not in KNOWN_METHODS:
            entry.warnings.append(f"vLLM may not support weights quantised with {quantisation.name}")
        elif not gpu and quantisation.method not in ON_CPU:
            entry.warnings.append(f"vLLM does not support {quantisation.name} weights without a GPU")
    if gpu:
        return
    if quantisation is None:
        entry.add("options.dtype", FULL_WIDTH, "without a GPU, 16 bits give worse responses")
    entry.add("options.enforce-eager", True, "without a GPU, compiling takes longer than it saves")
    entry.add(
        "options.max-num-seqs", CPU_REQUESTS, "without a GPU, more requests at once slow all of them down"
    )


def _guess_vision(entry: GuessedEntry, facts: Facts) -> None:
    files = [name for name in VISION_FILES if name in facts.files]
    if "vision_config" in facts.config:
        entry.add("vision", True, "vision_config of config.json")
    elif (
        files
        and facts.architecture.endswith("ForConditionalGeneration")
        and "audio_config" not in facts.config
    ):
        entry.add("vision", True, f"it has {files[0]}")


def _guess_pooling(entry: GuessedEntry, machine: Machine, kind: Kind, reason: str) -> None:
    entry.add("options.runner", "pooling", f"{kind}: {reason}")
    entry.add("tasks", ["embed" if kind == "embedding" else "classify", "score"], f"{kind}: {reason}")
    if machine.utility is None:
        entry.add(
            "lifecycle",
            "utility",
            f"{kind}s stay loaded beside the main model, and there is no utility model yet",
        )
    else:
        entry.notes.append(
            f"{machine.utility} is the utility model already, so this model takes turns with the others"
        )


def _check_remote_code(entry: GuessedEntry, facts: Facts, options: AddOptions) -> None:
    """Check for Python code in the repository (`auto_map`). vLLM has code for known families, not for tokenizers."""
    if options.trust_remote_code:
        entry.add("options.trust-remote-code", True, AS_GIVEN)
        return
    for table in (facts.config, facts.tokenizer):
        named = sorted(str(value) for value in table.table("auto_map").values.values())
        if not named:
            continue
        if table is facts.config and find_family(facts.model_types, facts.name) is not None:
            entry.notes.append(
                f"{table.file} names code in the repository (auto_map); vLLM has its own code for this family"
            )
        else:
            entry.untrusted = (
                f"{table.file} names code in the repository (auto_map: {format_value(named[0])})"
            )
