"""The timeline of one swap, as text: each step of both models with its seconds and a bar."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.starts.daemon import Daemon
from benchmarks.starts.measures import NEXT, RIVAL, busy_rival
from benchmarks.starts.recorder import recording

WIDTH = 56
"""Characters of the whole time."""

STEPS = (
    ("rival", "finishes its answer", "rival: draining", "rival: stopping"),
    ("rival", "stops", "rival: stopping", "rival: exited"),
    ("rival", "its memory is free again", "rival: exited", "rival: stopped"),
    ("next", "is forked from the launcher", "rival: draining", "next: forked"),
    ("next", "configuration, tokenizer", "next: forked", "next: at the gate"),
    ("next", "waits for the memory", "next: at the gate", "next: starting"),
    ("next", "engine core", "next: starting", "phase: starting the engine core"),
    ("next", "worker", "phase: starting the engine core", "phase: loading weights"),
    ("next", "weights", "phase: loading weights", "phase: weights loaded"),
    ("next", "KV cache, warm-up", "phase: weights loaded", "phase: opening the server"),
    ("next", "opens its server", "phase: opening the server", "next: ready"),
    ("next", "first token", "next: ready", "first token"),
)
"""Which model, what it does, and the marks at the beginning and the end."""


def record_swap(daemon: Daemon) -> str:
    """Swap from a busy model to another one, started warm; return the timeline."""
    daemon.ask(RIVAL.name)
    with busy_rival(daemon), recording(daemon, RIVAL.name, NEXT.name) as marks:
        answer = daemon.ask(NEXT.name)
        daemon.check_start(NEXT.name)
    daemon.stop(NEXT.name)
    return draw({**marks, "first token": answer.first}, answer.sent)


def draw(marks: Mapping[str, float], began: float) -> str:
    """Draw the steps whose marks were all seen. Times count from `began`."""
    whole = marks["first token"] - began
    names = {"rival": RIVAL.name, "next": NEXT.name}
    lines = [f"{'':<35}  seconds       0{f'{whole:.1f} s':>{WIDTH - 1}}"]
    for model, text, start, end in STEPS:
        if start not in marks or end not in marks:
            continue
        first, last = marks[start] - began, max(marks[start], marks[end]) - began
        left = round(first / whole * WIDTH)
        bar = " " * left + "█" * max(1, round(last / whole * WIDTH) - left)
        lines.append(f"{names[model]:<8} {text:<27} {first:5.2f} - {last:5.2f}  {bar}".rstrip())
    return "\n".join(lines)
