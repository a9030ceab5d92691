"""Why a process ended, from its last log lines: the root cause, as one sentence and one fix."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from sparkd.engines.engine import ENGINE, Cause, CauseKind, Exit

MAX_QUOTE: Final = 300

SEE_LOG: Final = "For details, run `sparkctl logs MODEL`."

LOGGER_PREFIX = re.compile(
    r"^\s*(\([^()]*\bpid=\d+[^()]*\)\s*)*"  # (EngineCore pid=17)
    r"((DEBUG|INFO|WARNING|ERROR|CRITICAL|FATAL)[: ]\s*)?"
    r"([\d:., /TZ-]{8,}\s*)?"  # a date, a time, or both
    r"(\[[\w./-]+:\d+\]\s*)?"  # [core.py:133]
)
"""The prefix that loggers add to a message. It changes between versions, so it is only removed for display."""

EXCEPTION = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Failure)\b(?:: .*)?$")
"""The last line of a Python traceback."""


class FailurePattern(Struct, frozen=True):
    """A log line that shows a cause. `sentence` and `remedy` may contain the pattern's groups: `{limit}`."""

    pattern: str
    kind: CauseKind
    sentence: str
    remedy: str = ""

    def match(self, line: str) -> Cause | None:
        """Return the cause if this line shows it."""
        found = re.search(self.pattern, line)  # compiled when first needed, and kept by `re`
        if found is None:
            return None
        groups = {name: (text or "").strip() for name, text in found.groupdict().items()}
        return Cause(self.kind, self.sentence.format(**groups), self.remedy.format(**groups))


COMMON_FAILURES: Final = (
    FailurePattern(
        r"cudaErrorIllegalInstruction|an illegal instruction was encountered|Illegal instruction",
        "illegal_instruction",
        "the engine ran an instruction that this processor does not have.",
        "Its runtime was built for another machine. Build one for this machine, or choose another kernel.",
    ),
    FailurePattern(
        r"CUDA out of memory|torch\.(cuda\.)?OutOfMemoryError|CUDA error: out of memory"
        r"|cudaErrorMemoryAllocation|NV_ERR_NO_MEMORY|Cannot allocate memory|\bMemoryError\b|std::bad_alloc",
        "out_of_memory",
        "the engine ran out of memory.",
        "Lower context_length or gpu-memory-utilization, or reserve more memory for it.",
    ),
    FailurePattern(
        r"(?i)address already in use|EADDRINUSE",
        "address_in_use",
        "the engine's address is already in use.",
        "sparkd tries another address. If this repeats, look for an engine that sparkd did not start.",
    ),
    FailurePattern(
        r"error while loading shared libraries: (?P<library>[^\s:]+)",
        "launch_failed",
        "the engine's program needs the library {library}, which is missing.",
        "Install it, or build the runtime again.",
    ),
    FailurePattern(
        r"ModuleNotFoundError: No module named '(?P<module>[^']+)'",
        "launch_failed",
        "the engine's program needs the Python module {module}, which is missing.",
        "Add it to the runtime's requirements, then build the runtime again.",
    ),
    FailurePattern(
        r"(?i)unrecognized arguments?:? (?P<flags>.+)"
        r"|(?:unknown|invalid|unrecognized|unexpected) (?:option|flag|argument)s?:? '?(?P<flag>-[^\s']+)",
        "bad_option",
        "the engine does not know {flags}{flag}.",
        "Correct the model's options or command.",
    ),
    FailurePattern(
        r"No space left on device",
        "disk_full",
        "the disk is full.",
        "Free space where the engine keeps its caches and models.",
    ),
)
"""Lines that any kind of engine may print."""

MODEL_FILE_FAILURES: Final = (
    FailurePattern(
        r"GatedRepoError|Access to model (?P<model>\S+) is restricted|401 Client Error",
        "missing_model",
        "the model's files cannot be downloaded without permission.",
        "Request access on the model's page, then give sparkd an HF_TOKEN that has it.",
    ),
    FailurePattern(
        r"(?:Invalid repository ID or local directory specified|HFValidationError): .*?'(?P<source>/[^']*)'",
        "missing_model",
        "there is no model at {source}.",
        "Correct the model's source, or download it.",
    ),
    FailurePattern(
        r"LocalEntryNotFoundError|HFValidationError|Invalid repository ID or local directory"
        r"|RepositoryNotFoundError|OfflineModeIsEnabled|Cannot find any model weights"
        r"|does not appear to have a file named",
        "missing_model",
        "the model's files are missing and cannot be downloaded.",
        "Download the model, or correct its source.",
    ),
    FailurePattern(
        r"SafetensorError: .*(?:incomplete metadata|InvalidHeader|HeaderTooLarge|MetadataIncompleteBuffer)",
        "missing_model",
        "a weight file of the model is incomplete.",
        "Download the model again.",
    ),
)
"""Lines of engines that load models with Hugging Face's libraries."""

SIGNAL_CAUSES: Final[dict[int, tuple[CauseKind, str, str]]] = {
    signal.SIGILL: (
        "illegal_instruction",
        "{process} ran an instruction that this processor does not have (SIGILL).",
        "Its runtime was built for another machine. Build one for this machine.",
    ),
    signal.SIGBUS: (
        "engine_died",
        "{process} crashed (SIGBUS).",
        "Check whether the disk or /dev/shm is full.",
    ),
    signal.SIGKILL: (
        "engine_died",
        "{process} was killed (SIGKILL).",
        "Either someone killed it or the kernel ran out of memory; check `dmesg`.",
    ),
}
"""Causes that follow from the signal that killed a process."""


def explain_exit(
    exit_: Exit, lines: Sequence[str], patterns: Iterable[FailurePattern], process: str = ENGINE
) -> Cause:
    """Return the cause: the first of `patterns` that matches any line, or else what the exit itself shows.

    `patterns` are in order of rank, because a root cause is often followed by lines about its consequences. If several
    lines match one pattern, the last one counts: the engine may have survived the earlier ones. Lines that only report
    a death say less than the death of a vital `process` itself.
    """
    for pattern in patterns:
        if pattern.kind == "engine_died" and process != ENGINE:
            continue
        for line in reversed(lines):
            if cause := pattern.match(line):
                return cause
    if exit_.signal is not None:
        fallback: tuple[CauseKind, str, str] = ("engine_died", f"{{process}} crashed ({exit_}).", SEE_LOG)
        kind, sentence, remedy = SIGNAL_CAUSES.get(exit_.signal, fallback)
        return Cause(kind, sentence.format(process=process), remedy)
    if exit_.code == 0:
        return Cause("engine_died", f"{process} exited by itself (exit code 0).", SEE_LOG)
    detail = last_exception(lines)
    if not detail and lines and exit_.code is not None:
        detail = strip_logger_prefix(lines[-1])
    kind = "launch_failed" if exit_.code in (126, 127) else "unknown"  # sh(1) could not run it
    return Cause(
        kind, f"{process} failed ({exit_}){f': {detail}' if detail else ''}".rstrip(".") + ".", SEE_LOG
    )


def strip_logger_prefix(line: str) -> str:
    """Return the line without its logger's prefix, at most MAX_QUOTE characters."""
    text = LOGGER_PREFIX.sub("", line, count=1).strip()
    return text if len(text) <= MAX_QUOTE else f"{text[:MAX_QUOTE]}…"


def last_exception(lines: Sequence[str]) -> str:
    """The last exception of a Python traceback that does not only repeat another one."""
    for line in reversed(lines):
        text = strip_logger_prefix(line)
        if EXCEPTION.match(text) and "root cause above" not in text:
            return text
    return ""
