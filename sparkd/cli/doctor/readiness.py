"""What models need before they can start: files and runtimes. A catalogue has more models than fit on a disk, so a
model that was never downloaded is not a problem, nor is a runtime that no model on this disk needs.
"""

from __future__ import annotations

from collections.abc import Iterator

from sparkd.catalog import Catalogue
from sparkd.catalog.ranking import choose_first_model
from sparkd.cli.doctor.facts import Finding, Findings, ModelNeeds, Readiness
from sparkd.cli.output.formatting import abbreviate_list, format_count
from sparkd.cli.storage.folders import requires_sudo
from sparkd.hub import inspection
from sparkd.machine.nvml import Nvml
from sparkd.runtimes import find_installed


def inspect_readiness(catalogue: Catalogue, *, gpu: bool) -> Readiness:
    """Inspect the disk. The model to begin with has a runtime for CUDA if there is a GPU, and another one if not."""
    enabled = [model for model in catalogue.models.values() if model.enabled]
    models, runtimes_folder = catalogue.folder("models"), catalogue.folder("runtimes")
    suitable = [name for name, runtime in catalogue.runtimes.items() if bool(runtime.cuda) == gpu]
    needs = {
        model.id: ModelNeeds(model.id, model.runtime, tuple(inspection.inspect_model(model, models)))
        for model in enabled
    }
    suggestion = choose_first_model(enabled, suitable)
    return Readiness(
        models=tuple(needs.values()),
        runtimes={
            name: find_installed(runtime, runtimes_folder) is not None
            for name, runtime in catalogue.runtimes.items()
            if any(model.runtime == name for model in enabled)
        },
        suggested=needs[suggestion.id] if suggestion else None,
        needs_sudo=requires_sudo(models) or requires_sudo(runtimes_folder),
    )


def has_gpu() -> bool:
    """Whether the NVIDIA driver responds."""
    nvml = Nvml()
    try:
        return nvml.read() is not None
    finally:
        nvml.close()


def assess_readiness(readiness: Readiness) -> Findings:
    """Warnings about models on disk that cannot start, then what to do first or how many are on disk."""
    if not readiness.models:
        fix = "enable a model in the catalogue, or add one"
        yield Finding(check="model", level="warning", message="no model is enabled", fix=fix)
        return
    for name, built in readiness.runtimes.items():
        if built:
            yield Finding(check="runtime", level="ok", message=f"{name} is built")
        elif users := [
            model.model for model in readiness.models if model.runtime == name and _is_on_disk(model)
        ]:
            yield Finding(
                check="runtime",
                level="warning",
                message=f"{name} is not built, so {abbreviate_list(users)} cannot start",
                fix=f"run {_render_command(readiness, f'runtime build {name}')}",
            )
    yield from _assess_files(readiness)


def _assess_files(readiness: Readiness) -> Findings:
    hidden = [model.model for model in readiness.models if model.presence == "unknown"]
    if hidden:
        message = f"this user has no access to the files of {abbreviate_list(hidden)}"
        yield Finding(check="model", level="warning", message=message, fix="run `sudo sparkctl doctor`")
    incomplete = [model for model in readiness.models if _is_incomplete(model)]
    yield from (_report_incomplete(readiness, model) for model in incomplete)
    on_disk = [model for model in readiness.models if model.presence == "complete"]
    if not on_disk and not incomplete and not hidden:
        yield _suggest_first_steps(readiness)
    elif on_disk:
        message = f"{len(on_disk)} of {len(readiness.models)} {'is' if len(on_disk) == 1 else 'are'} on disk"
        yield Finding(check="model", level="ok", message=message)


def _suggest_first_steps(readiness: Readiness) -> Finding:
    """For a new installation: no model is on disk, and perhaps no runtime is built."""
    steps = list(_list_first_steps(readiness))
    models = format_count(len(readiness.models), "model")
    message = f"none of {models} is on disk" if len(readiness.models) > 1 else "the only model is not on disk"
    if readiness.runtimes and not any(readiness.runtimes.values()):
        message += ", and no runtime is built"
    return Finding(check="model", level="warning", message=message, fix=f"to begin: {', then '.join(steps)}")


def _list_first_steps(readiness: Readiness) -> Iterator[str]:
    first = readiness.suggested or readiness.models[0]
    if first.runtime and not readiness.runtimes.get(first.runtime):
        yield _render_command(readiness, f"runtime build {first.runtime}")
    yield _render_command(readiness, f"pull {first.model}")


def _render_command(readiness: Readiness, arguments: str) -> str:
    """The command to type: in an installation, the folders belong to root and to the daemon's user."""
    return f"`{'sudo ' if readiness.needs_sudo else ''}sparkctl {arguments}`"


def _is_on_disk(model: ModelNeeds) -> bool:
    """Whether at least a part of its files is on disk."""
    return model.presence == "complete" or _is_incomplete(model)


def _is_incomplete(model: ModelNeeds) -> bool:
    """Whether it is incomplete, or its own folder is missing, which sparkd never downloads."""
    absent = model.presence == "absent" and model.parts[0].source.startswith("/")
    return absent or model.presence == "incomplete"


def _report_incomplete(readiness: Readiness, model: ModelNeeds) -> Finding:
    part = next(part for part in model.parts if part.state in ("absent", "incomplete"))
    name = model.model
    if part.source.startswith("/"):
        problem = f"lacks {', '.join(part.missing[:3])}" if part.missing else "does not exist"
        message = f"{name} cannot start: its source {part.source} {problem}"
        fix = f"put the model there, or correct `source` of models.{name}"
    else:
        missing = format_count(len(part.missing), "file") if part.missing else "the end"
        message = f"{name} is only partly on disk: {missing} missing of {part.source}"
        fix = f"run {_render_command(readiness, f'pull {name}')}"
    return Finding(check="model", level="warning", message=message, fix=fix)
