"""The table of `sparkctl status`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sparkd.cli.wording import duration, number, size
from sparkd.scheduling.status import MemoryStatus, ModelStatus, Status

STYLES = {"ready": "green", "backoff": "red", "stopped": "dim"}
MOVING = "yellow"


def overview(status: Status, *, disabled_too: bool) -> Group:
    """The whole daemon: some lines about the machine, a row per model, who runs first, and why a model failed."""
    shown = [model for model in status.models if model.enabled or disabled_too]
    shown.sort(key=lambda model: state(model) in ("stopped", "disabled"))
    hidden = len(status.models) - len(shown)
    parts: list[RenderableType] = [*_machine(status), Text(), _models(shown), *_failures(shown)]
    if not shown:
        parts[-1:] = [Text("The catalogue has no models." if not hidden else "Every model is disabled.")]
    if hidden:
        parts += [Text(), Text(f"{number(hidden, 'disabled model')} not shown; --all shows them.", "dim")]
    return Group(*parts)


def single(model: ModelStatus) -> Group:
    """One model."""
    return Group(_models([model]), *_footprints(model), *_failures([model]))


def _footprints(model: ModelStatus) -> list[Text]:
    """What is known of the model's memory, and how its last run was."""
    known = (
        ("declared", model.declared),
        ("learned", model.learned),
        ("held now", model.held),
        ("host memory now", model.host_memory),
        ("host memory at most", model.host_memory_peak),
    )
    lines = [f"{name} {size(count)}" for name, count in known if count is not None]
    found = [Text(), Text(f"memory: {', '.join(lines)}")] if lines else []
    if (last := model.last) is not None:
        steps = ", ".join(f"{phase} {duration(seconds)}" for phase, seconds in last.phases.items())
        found.append(
            Text(
                f"last run: at most {size(last.peak)}, {size(last.settled)} in the end; ready after "
                f"{duration(last.load_time)}{f' ({steps})' if steps else ''}"
            )
        )
    return found


def state(model: ModelStatus) -> str:
    """A model's state with what makes it worth knowing: "starting: loading weights 40 %", "quarantined"."""
    if not model.enabled:
        return "disabled"
    if model.quarantined:
        return "quarantined"
    if model.state == "backoff" and model.retry_after is not None:
        return f"backoff, again in {duration(model.retry_after)}"
    if model.phase and model.state in ("starting", "stopped"):
        share = "" if model.progress is None else f" {model.progress:.0%}".replace("%", " %")
        left = "" if model.download_left is None else f", {duration(model.download_left)} left"
        return f"{'starting: ' if model.state == 'starting' else ''}{model.phase}{share}{left}"
    return model.state


def _machine(status: Status) -> list[Text]:
    memory, queue = status.memory, status.queue
    doors = ", ".join(status.listen) or "no door open"
    waiting = "nobody waits" if not queue.waiting else f"{number(queue.waiting, 'request')} waiting"
    room = f"queue of {queue.max_length}" if queue.on_busy == "wait" else "busy models refuse"
    return [
        Text(f"sparkd {status.version} on {doors}, up {duration(status.uptime)}"),
        Text(
            f"memory: {size(memory.reserved)} of {size(memory.budget)} reserved, "
            f"{size(memory.reserve)} kept for the system{_machine_says(memory)}"
        ),
        Text(f"queue: {waiting} ({room})"),
    ]


def _machine_says(memory: MemoryStatus) -> str:
    """What the machine adds to the books."""
    available = "" if memory.available is None else f", {size(memory.available)} available now"
    return available + (f", {size(memory.leaked)} leaked until the next reboot" if memory.leaked else "")


def _models(models: Sequence[ModelStatus]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("MODEL", overflow="fold")
    table.add_column("STATE", overflow="fold")
    for heading in ("SINCE", "IN FLIGHT", "WAITING", "IDLE LEFT", "MEMORY"):
        table.add_column(heading, justify="right", no_wrap=True)
    for model in models:
        style = STYLES.get(model.state, MOVING)
        table.add_row(
            Text(model.id, "dim" if style == "dim" else ""),
            Text(state(model), style),
            duration(model.since),
            str(model.in_flight or "-"),
            str(model.waiting or "-"),
            _idle_left(model),
            size(model.footprint) if model.footprint else "-",
        )
    return table


def _idle_left(model: ModelStatus) -> str:
    if model.state != "ready":
        return "-"
    if model.pinned:
        return "pinned"
    if model.idle_left is not None:
        return duration(model.idle_left)
    return "in use" if model.in_flight else "never"


def _failures(models: Sequence[ModelStatus]) -> list[Text]:
    failed = [model for model in models if model.cause and model.state == "backoff"]
    lines = [Text(f"{model.id}: {model.cause}", "red") for model in failed]
    lines += [Text(f"  `sparkctl retry {model.id}` lifts it") for model in failed if model.quarantined]
    return [Text(), *lines] if lines else []
