"""Creates a Llama that follows scripts. Its weights are computed, not trained. Needs the cpu runtime's Python.

    python scripted_llama.py FOLDER

A script is a sequence of pieces of text, each of which is one token. The prompt names the script by a token such as
`<|play:bash|>`; a chat template decides which. The only attention head looks for that token, and the output layer
chooses the piece that follows the last one in that script. Everything else in the prompt has no effect, so the model
answers the same at any temperature. Its context is 128 k tokens.
"""

from __future__ import annotations

import json
import pydoc_data.topics
import sys
from itertools import pairwise
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

END = "<|im_end|>"
CONTROL = ["<|endoftext|>", END, "<|im_start|>", "<|think|>"]
"""Tokens that a response never shows."""

TAGS = ["<think>", "</think>", "<tool_call>", "</tool_call>"]
"""Tokens that vLLM's parsers look for."""

THOUGHT = ["The user wants", " something;", " I shall do it.\n"]
"""What the model thinks before any script, if the prompt ends with `<|think|>`."""

SHELL = {"command": "cat note.txt", "description": "Reads the note"}
TOOLS = {
    "bash": SHELL,
    "Bash": SHELL,
    "run_shell_command": {**SHELL, "is_background": False},
    "exec_command": {"cmd": "cat note.txt"},
    "shell_command": {"command": "cat note.txt"},
    "shell": {"command": ["cat", "note.txt"]},
    "run_commands": {"commands": ["cat note.txt"]},
    "execute_command": {"command": "cat note.txt", "requires_approval": False},
    "read_note": {"path": "note.txt"},
}
"""The arguments with which the model calls each tool that it knows."""

TEXTS = {
    "hello": ["Hello from", " the scripted", " model."],
    "read": ["The note says:", " lighthouse."],
    "lost": ["The tool's result", " did not arrive."],
    "remember": ["I remember:", " the note said", " lighthouse."],
}

VOCABULARY = 8192
HEAD = 64
WIDTH = 256


def call(name: str) -> list[str]:
    """Return the pieces of a call of this tool, in the format of Hermes and Qwen."""
    text = json.dumps({"name": name, "arguments": TOOLS[name]})
    first, second = text.index('"arguments"'), text.index("note.txt")
    pieces = [f"\n{text[:first]}", text[first:second], f"{text[second:]}\n"]
    return ["<tool_call>", *pieces, "</tool_call>"]


SCRIPTS = {**TEXTS, **{name: call(name) for name in TOOLS}}


def play(script: str) -> str:
    """Return the token that makes the model follow this script."""
    return f"<|play:{script}|>"


def train_tokenizer() -> Tokenizer:
    """Return a tokenizer that has each piece of each script as one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    control = [*CONTROL, *map(play, SCRIPTS)]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    pieces = [*TAGS, *THOUGHT, *(piece for script in SCRIPTS.values() for piece in script)]
    known = list(dict.fromkeys(pieces))
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(known), special_tokens=control, initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(pydoc_data.topics.topics.values(), trainer)
    tokenizer.add_tokens([AddedToken(piece, normalized=False) for piece in known])
    return tokenizer


def list_steps() -> list[tuple[str, str, str | None]]:
    """Return every step: the token before, the token after, and the script to which it belongs."""
    thought = ["<|think|>", *THOUGHT, "</think>"]
    steps: list[tuple[str, str, str | None]] = [(a, b, None) for a, b in pairwise(thought)]
    for name, pieces in SCRIPTS.items():
        whole = [*pieces, END]
        steps += [(play(name), pieces[0], name), ("</think>", pieces[0], name)]
        steps += [(a, b, name) for a, b in pairwise(whole)]
    return steps


def compute_weights(model: LlamaForCausalLM, tokenizer: Tokenizer) -> None:
    """Set all weights. Of the width, dimension 0 is for text, then come the tokens of scripts, then the scripts."""
    ids = tokenizer.get_vocab()
    steps = list_steps()
    places = {token: 1 + place for place, token in enumerate(dict.fromkeys(a for a, _, _ in steps))}
    scripts = {name: place for place, name in enumerate(SCRIPTS)}
    first = 1 + len(places)
    assert first + len(scripts) <= WIDTH
    assert len(scripts) < HEAD // 2 - 1

    for weights in model.parameters():
        weights.zero_()
    layer = model.model.layers[0]
    for norm in (layer.input_layernorm, layer.post_attention_layernorm, model.model.norm):
        norm.weight.fill_(WIDTH**-0.5)
    embedding, output = model.model.embed_tokens.weight, model.lm_head.weight
    embedding[:, 0] = 1
    for token, place in places.items():
        embedding[ids[token]] = torch.nn.functional.one_hot(torch.tensor(place), WIDTH)
    # The last pair of a head rotates so slowly that the distance between two tokens does not matter.
    attention, slow = layer.self_attn, HEAD // 2 - 1
    attention.q_proj.bias[slow] = 1000
    for name, place in scripts.items():
        marker = places[play(name)]
        attention.k_proj.weight[slow, marker] = 1
        attention.v_proj.weight[place, marker] = 1
        attention.o_proj.weight[first + place, place] = 1
    output[ids[END], 0] = 100
    for before, after, _ in steps:
        output[ids[after], places[before]] = 200
    for _, after, script in steps:
        if script:
            output[ids[after], first + scripts[script]] = 100


def make(folder: Path) -> None:
    """Write configuration, weights and tokenizer to `folder`."""
    tokenizer = train_tokenizer()
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=HEAD,
        attention_bias=True,
        max_position_embeddings=131072,
        bos_token_id=None,
        eos_token_id=CONTROL.index(END),
        pad_token_id=0,
    )
    with torch.no_grad():
        model = LlamaForCausalLM(config)
        compute_weights(model, tokenizer)
    model.save_pretrained(folder)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=CONTROL[0], model_max_length=131072
    )
    wrapped.save_pretrained(folder)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
