"""Why a process ended, read from its last lines: the root cause, one sentence and one remedy."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sparkd.engines.engine import Cause, CauseKind, Exit

LONGEST_QUOTE: Final = 300

PREFIX = re.compile(
    r"^\s*(\([^()]*\bpid=\d+[^()]*\)\s*)*"  # (EngineCore pid=17)
    r"((DEBUG|INFO|WARNING|ERROR|CRITICAL|FATAL)[: ]\s*)?"
    r"([\d:., /TZ-]{8,}\s*)?"  # a date, a time, or both
    r"(\[[\w./-]+:\d+\]\s*)?"  # [core.py:133]
)
"""What loggers put before a message. It changes between versions, so nothing depends on it but good looks."""

EXCEPTION = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Failure)\b(?:: .*)?$")
"""The last line of a Python traceback."""


@dataclass(frozen=True, slots=True)
class Sign:
    """A line that tells a cause. Sentence and remedy may name the pattern's groups: `{limit}`."""

    pattern: re.Pattern[str]
    kind: CauseKind
    sentence: str
    remedy: str = ""

    def read(self, line: str) -> Cause | None:
        """Return the cause if this line tells it."""
        found = self.pattern.search(line)
        if found is None:
            return None
        figures = {name: (text or "").strip() for name, text in found.groupdict().items()}
        return Cause(self.kind, self.sentence.format(**figures), self.remedy.format(**figures))


def sign(pattern: str, kind: CauseKind, sentence: str, remedy: str = "") -> Sign:
    """Return a Sign whose pattern is given as text."""
    return Sign(re.compile(pattern), kind, sentence, remedy)


GENERIC: Final = (
    sign(
        r"cudaErrorIllegalInstruction|an illegal instruction was encountered|Illegal instruction",
        "illegal_instruction",
        "The engine ran an instruction that this processor does not have.",
        "Its runtime was built for another machine: build one for this one, or choose another kernel.",
    ),
    sign(
        r"CUDA out of memory|torch\.(cuda\.)?OutOfMemoryError|CUDA error: out of memory"
        r"|cudaErrorMemoryAllocation|NV_ERR_NO_MEMORY|Cannot allocate memory|\bMemoryError\b|std::bad_alloc",
        "out_of_memory",
        "The engine ran out of memory.",
        "Give it less to hold (context_length, gpu-memory-utilization), or reserve more memory for it.",
    ),
    sign(
        r"(?i)address already in use|EADDRINUSE",
        "address_in_use",
        "The address the engine was to listen on is in use.",
        "It is tried again with another one; if this repeats, look for an engine that sparkd did not start.",
    ),
    sign(
        r"error while loading shared libraries: (?P<library>[^\s:]+)",
        "launch_failed",
        "The engine's program lacks the library {library}.",
        "Install it, or build the runtime again.",
    ),
    sign(
        r"ModuleNotFoundError: No module named '(?P<module>[^']+)'",
        "launch_failed",
        "The engine's program lacks the Python module {module}.",
        "Build the runtime again, with that module among its requirements.",
    ),
    sign(
        r"(?i)unrecognized arguments?:? (?P<flags>.+)"
        r"|(?:unknown|invalid|unrecognized|unexpected) (?:option|flag|argument)s?:? '?(?P<flag>-[^\s']+)",
        "bad_option",
        "The engine does not know {flags}{flag}.",
        "Correct the model's options or command.",
    ),
    sign(
        r"No space left on device",
        "unknown",
        "The disk is full.",
        "Make room where the engine keeps its caches and models.",
    ),
)
"""What any kind of engine may say."""

FILES: Final = (
    sign(
        r"GatedRepoError|Access to model (?P<model>\S+) is restricted|401 Client Error",
        "missing_model",
        "The model's files may not be downloaded without permission.",
        "Ask for access on its page, and give sparkd an HF_TOKEN that has it.",
    ),
    sign(
        r"(?:Invalid repository ID or local directory specified|HFValidationError): .*?'(?P<source>/[^']*)'",
        "missing_model",
        "There is no model at {source}.",
        "Correct the model's source, or download it.",
    ),
    sign(
        r"LocalEntryNotFoundError|HFValidationError|Invalid repository ID or local directory"
        r"|RepositoryNotFoundError|OfflineModeIsEnabled|Cannot find any model weights"
        r"|does not appear to have a file named",
        "missing_model",
        "The model's files are not there, and cannot be downloaded.",
        "Download the model, or correct its source.",
    ),
    sign(
        r"SafetensorError: .*(?:incomplete metadata|InvalidHeader|HeaderTooLarge|MetadataIncompleteBuffer)",
        "missing_model",
        "A file of the model's weights is incomplete.",
        "Download the model again.",
    ),
)
"""What engines say that load models with Hugging Face's libraries."""

SIGNALS: Final[dict[int, tuple[CauseKind, str, str]]] = {
    signal.SIGILL: (
        "illegal_instruction",
        "The engine ran an instruction that this processor does not have (SIGILL).",
        "Its runtime was built for another machine: build one for this one.",
    ),
    signal.SIGBUS: ("engine_died", "The engine crashed (SIGBUS).", "Is the disk or /dev/shm full?"),
    signal.SIGKILL: (
        "engine_died",
        "The engine was killed (SIGKILL).",
        "By hand, or by the system for want of memory: see `dmesg`.",
    ),
}
"""What the signal that killed a process says by itself."""


def explain(ended: Exit, lines: Sequence[str], signs: Iterable[Sign]) -> Cause:
    """Return the cause: the first sign of the table that any line gives, else what the exit itself says.

    The order of `signs` is their rank: a root cause is often followed by its consequences, which have lines of
    their own. Of several lines that give one sign the last counts, as the earlier may have been survived.
    """
    for one in signs:
        for line in reversed(lines):
            if cause := one.read(line):
                return cause
    if ended.signal is not None:
        plain: tuple[CauseKind, str, str] = (
            "engine_died",
            f"The engine died ({ended}).",
            "Its log tells more.",
        )
        return Cause(*SIGNALS.get(ended.signal, plain))
    if ended.code == 0:
        return Cause(
            "engine_died", "The engine ended by itself (exit code 0), though nobody had asked it to."
        )
    said = _last_exception(lines) or (message(lines[-1]) if lines else "")
    kind: CauseKind = "launch_failed" if ended.code in (126, 127) else "unknown"  # sh(1) could not run it
    return Cause(kind, f"The engine failed ({ended}){': ' + said if said else '.'}", "Its log tells more.")


def message(line: str) -> str:
    """Return the line without what its logger put before it, at most LONGEST_QUOTE characters."""
    text = PREFIX.sub("", line, count=1).strip()
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"


def _last_exception(lines: Sequence[str]) -> str:
    """The last exception of a Python traceback that is not only the echo of another."""
    for line in reversed(lines):
        text = message(line)
        if EXCEPTION.match(text) and "root cause above" not in text:
            return text
    return ""
