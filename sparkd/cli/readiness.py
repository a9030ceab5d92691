"""What stands between the models of a catalogue and their start: files and runtimes. A catalogue has more models than a
disk, so one that nobody has fetched is not amiss, nor is a runtime that no model on this disk needs.
"""

from __future__ import annotations

from collections.abc import Iterator

from sparkd.catalog import Catalogue
from sparkd.catalog.ranking import choose_first_model
from sparkd.cli.doctor_facts import Finding, Findings, Needs, Readiness
from sparkd.cli.folders import takes_sudo
from sparkd.cli.wording import number, some
from sparkd.hub import inspection
from sparkd.machine.nvml import Nvml
from sparkd.runtimes import find_installed


def look(catalogue: Catalogue, *, gpu: bool) -> Readiness:
    """What there is. With a GPU one begins with a model whose runtime is built for CUDA, without with another."""
    enabled = [model for model in catalogue.models.values() if model.enabled]
    models, root = catalogue.folder("models"), catalogue.folder("runtimes")
    fitting = [name for name, runtime in catalogue.runtimes.items() if bool(runtime.cuda) == gpu]
    needs = {
        model.id: Needs(model.id, model.runtime, tuple(inspection.inspect_model(model, models)))
        for model in enabled
    }
    first = choose_first_model(enabled, fitting)
    return Readiness(
        models=tuple(needs.values()),
        runtimes={
            name: find_installed(runtime, root) is not None
            for name, runtime in catalogue.runtimes.items()
            if any(model.runtime == name for model in enabled)
        },
        first=needs[first.id] if first else None,
        sudo=takes_sudo(models) or takes_sudo(root),
    )


def has_gpu() -> bool:
    """Whether NVIDIA's driver answers."""
    nvml = Nvml()
    try:
        return nvml.read() is not None
    finally:
        nvml.close()


def judged(ready: Readiness) -> Findings:
    """Warnings about models that are here and cannot start, then what to do first or how many are on disk."""
    if not ready.models:
        mend = "enable one in the catalogue, or add one"
        yield Finding(check="model", level="warning", found="there is no model that may run", mend=mend)
        return
    for name, built in ready.runtimes.items():
        if built:
            yield Finding(check="runtime", level="ok", found=f"{name} is built")
        elif users := [model.model for model in ready.models if model.runtime == name and _is_here(model)]:
            yield Finding(
                check="runtime",
                level="warning",
                found=f"{name} is not built, and {some(users)} cannot start without it",
                mend=_command(ready, f"runtime build {name}"),
            )
    yield from _files(ready)


def _files(ready: Readiness) -> Findings:
    hidden = [model.model for model in ready.models if model.presence == "unknown"]
    if hidden:
        found = f"this user may not look at the files of {some(hidden)}"
        yield Finding(check="model", level="warning", found=found, mend="`sudo sparkctl doctor`")
    amiss = [model for model in ready.models if _is_amiss(model)]
    yield from (_not_whole(ready, model) for model in amiss)
    here = [model for model in ready.models if model.presence == "whole"]
    if not here and not amiss and not hidden:
        yield _first(ready)
    elif here:
        found = f"{len(here)} of {len(ready.models)} {'is' if len(here) == 1 else 'are'} on disk"
        yield Finding(check="model", level="ok", found=found)


def _first(ready: Readiness) -> Finding:
    """For somebody who begins: no model is on disk, and perhaps there is nothing to run one with either."""
    steps = list(_steps(ready))
    models = number(len(ready.models), "model")
    found = f"none of {models} is on disk" if len(ready.models) > 1 else "the only model is not on disk"
    if ready.runtimes and not any(ready.runtimes.values()):
        found += ", and no runtime is built"
    return Finding(check="model", level="warning", found=found, mend=f"to begin: {', then '.join(steps)}")


def _steps(ready: Readiness) -> Iterator[str]:
    first = ready.first or ready.models[0]
    if first.runtime and not ready.runtimes.get(first.runtime):
        yield _command(ready, f"runtime build {first.runtime}")
    yield _command(ready, f"pull {first.model}")


def _command(ready: Readiness, words: str) -> str:
    """As it is to be typed: in an installation the folders are root's and the daemon's."""
    return f"`{'sudo ' if ready.sudo else ''}sparkctl {words}`"


def _is_here(model: Needs) -> bool:
    """Whether somebody has seen to its files, wholly or in part."""
    return model.presence == "whole" or _is_amiss(model)


def _is_amiss(model: Needs) -> bool:
    """Nobody fetches a folder of one's own, so that one is missing which is not there."""
    absent = model.presence == "absent" and model.parts[0].source.startswith("/")
    return absent or model.presence == "incomplete"


def _not_whole(ready: Readiness, model: Needs) -> Finding:
    part = next(part for part in model.parts if part.state in ("absent", "incomplete"))
    name = model.model
    if part.source.startswith("/"):
        lacks = f"lacks {', '.join(part.missing[:3])}" if part.missing else "is not there"
        told = f"{name} cannot start: its source {part.source} {lacks}"
        mend = f"fetch it to there, or correct `source` of models.{name}"
    else:
        what = number(len(part.missing), "file") if part.missing else "the end"
        told = f"{name} is only partly on disk: {what} missing of {part.source}"
        mend = _command(ready, f"pull {name}")
    return Finding(check="model", level="warning", found=told, mend=mend)
