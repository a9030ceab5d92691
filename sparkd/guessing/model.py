"""A model's files in, its entry in the catalogue out: every guess in its order, each with its reason."""

from __future__ import annotations

import re
from typing import Final

from sparkd.catalog.names import PATH_HEADS, is_id
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.wording import shown
from sparkd.errors import ModelNotAdded
from sparkd.guessing.chat import guess_chat
from sparkd.guessing.facts import Facts, Machine
from sparkd.guessing.families import family_of
from sparkd.guessing.guess import SAID, Guessed, Wishes
from sparkd.guessing.kind import Kind, kind_of
from sparkd.guessing.labels import guess_labels
from sparkd.guessing.quantisation import KNOWN, ON_CPU, quantisation_of
from sparkd.guessing.room import guess_room

GPU_RUNTIME: Final = "vllm"
CPU_RUNTIME: Final = "cpu"

VISION_FILES: Final = ("preprocessor_config.json", "processor_config.json", "image_processor_config.json")

FULL_WIDTH: Final = "float32"
"""What vLLM calculates with where there is no GPU: SmolLM2 forgets the capital of France in bfloat16."""

CPU_REQUESTS: Final = 8
"""Requests at once without a GPU; more only make all of them slow."""


def guess_model(facts: Facts, machine: Machine, wishes: Wishes) -> Guessed:
    """Everything that can be guessed about a model. Raises ModelNotAdded where there is nothing to guess."""
    guessed = Guessed(_id(facts, wishes))
    kind, reason = kind_of(facts)
    gpu = _runtime(guessed, machine, wishes)
    _source(guessed, facts, wishes)
    if wishes.family is not None:
        guessed.add("family", wishes.family, SAID)
    _engine(guessed, facts, gpu=gpu)
    guess_room(guessed, facts, machine, wishes, kind, gpu=gpu)
    if kind == "chat":
        _vision(guessed, facts)
        guess_chat(guessed, facts, machine, wishes)
    else:
        _pooling(guessed, machine, kind, reason)
    if "rerank" in facts.name.lower() and facts.architecture.endswith("ForCausalLM"):
        guessed.warnings.append(
            "a reranker made from a chat model needs the option hf-overrides; see its page"
        )
    _remote_code(guessed, facts, wishes)
    guess_labels(guessed, facts, kind)
    return guessed


def _id(facts: Facts, wishes: Wishes) -> str:
    if wishes.id is not None:
        return wishes.id
    name = re.sub(r"[^a-z0-9._-]+", "-", facts.name.lower()).strip("._-")[:100]
    if not is_id(name) or name in PATH_HEADS:
        raise ModelNotAdded(f'"{facts.name}" cannot be turned into an id. Choose one with --id')
    return name


def _runtime(guessed: Guessed, machine: Machine, wishes: Wishes) -> bool:
    """Guess the runtime, and return whether it will use the GPU."""
    family = machine.families.get(wishes.family or "") if machine.gpu else None
    name = wishes.runtime or family or (GPU_RUNTIME if machine.gpu else CPU_RUNTIME)
    if name not in machine.runtimes:
        there = did_you_mean(name, machine.runtimes) or f"; there are {', '.join(machine.runtimes) or 'none'}"
        which = "" if wishes.runtime else ", the default on this machine (choose another with --runtime)"
        raise ModelNotAdded(f'there is no runtime "{name}"{which}{there}')
    there = f"family {wishes.family}" if family else f"this machine has {'a' if machine.gpu else 'no'} GPU"
    guessed.add("runtime", name, SAID if wishes.runtime else there)
    return name != CPU_RUNTIME


def _source(guessed: Guessed, facts: Facts, wishes: Wishes) -> None:
    guessed.add("source", facts.source, SAID)
    if wishes.revision is not None:
        guessed.add("revision", wishes.revision, SAID)
    if facts.has_weights(".bin", ".pth") and not facts.has_weights(".safetensors"):
        guessed.warnings.append(
            "the weights are pickles (.bin), which can run code while they load. Prefer a repository with safetensors"
        )


def _engine(guessed: Guessed, facts: Facts, *, gpu: bool) -> None:
    """The flags that depend on the machine and on how the weights are stored."""
    quantisation = quantisation_of(facts)
    if quantisation is not None:
        guessed.notes.append(
            f"the weights are quantised: {quantisation.name} ({quantisation.reason}); vLLM needs no flag for it"
        )
        if quantisation.method not in KNOWN:
            guessed.warnings.append(f"vLLM may not support weights quantised with {quantisation.name}")
        elif not gpu and quantisation.method not in ON_CPU:
            guessed.warnings.append(f"vLLM does not support {quantisation.name} weights without a GPU")
    if gpu:
        return
    if quantisation is None:
        guessed.add("options.dtype", FULL_WIDTH, "without a GPU, 16 bits give worse responses")
    guessed.add("options.enforce-eager", True, "without a GPU, compiling takes longer than it saves")
    guessed.add(
        "options.max-num-seqs", CPU_REQUESTS, "without a GPU, more requests at once slow all of them down"
    )


def _vision(guessed: Guessed, facts: Facts) -> None:
    files = [name for name in VISION_FILES if name in facts.files]
    if "vision_config" in facts.config:
        guessed.add("vision", True, "vision_config of config.json")
    elif (
        files
        and facts.architecture.endswith("ForConditionalGeneration")
        and "audio_config" not in facts.config
    ):
        guessed.add("vision", True, f"it has {files[0]}")


def _pooling(guessed: Guessed, machine: Machine, kind: Kind, reason: str) -> None:
    guessed.add("options.runner", "pooling", f"{kind}: {reason}")
    if machine.utility is None:
        guessed.add(
            "lifecycle",
            "utility",
            f"{kind}s stay loaded beside the main model, and there is no utility model yet",
        )
    else:
        guessed.notes.append(
            f"{machine.utility} is the utility model already, so this model takes turns with the others"
        )


def _remote_code(guessed: Guessed, facts: Facts, wishes: Wishes) -> None:
    """A model may bring Python of its own (`auto_map`). vLLM has code for the families it knows, not for tokenizers."""
    if wishes.trust_remote_code:
        guessed.add("options.trust-remote-code", True, SAID)
        return
    for table in (facts.config, facts.tokenizer):
        named = sorted(str(value) for value in table.table("auto_map").values.values())
        if not named:
            continue
        if table is facts.config and family_of(facts.model_types, facts.name) is not None:
            guessed.notes.append(
                f"{table.file} names code in the repository (auto_map); vLLM has its own code for this family"
            )
        else:
            guessed.untrusted = f"{table.file} names code in the repository (auto_map: {shown(named[0])})"
