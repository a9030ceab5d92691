"""The composition root: creates and connects all objects of the daemon, once."""

from __future__ import annotations

import logging
import time
from typing import Final

from msgspec import Struct
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from sparkd import __version__
from sparkd.catalog import Catalogue
from sparkd.catalog.quantities import GIB
from sparkd.catalog.reading.keys import read_keys
from sparkd.continuity.handover import DaemonSnapshot
from sparkd.continuity.reloading import CatalogueReloader, restore_quarantines
from sparkd.continuity.replacement import Replacement
from sparkd.continuity.succession import Succession
from sparkd.control.active_requests import active_request_routes
from sparkd.control.app import create_control_app
from sparkd.control.captures import capture_notices, capture_routes
from sparkd.control.catalogue import catalogue_routes
from sparkd.control.client_source import ClientSource
from sparkd.control.clients import client_routes
from sparkd.control.doctor import doctor_routes
from sparkd.control.live.hub import LiveHub
from sparkd.control.live.reader import LiveReader
from sparkd.control.live.sources import RecentRequests, Sources
from sparkd.control.live.stream import event_routes
from sparkd.control.log_files import log_file_routes
from sparkd.control.log_lines import log_routes
from sparkd.control.measurements import measurement_routes
from sparkd.control.model_rows import model_row_routes
from sparkd.control.options import option_routes
from sparkd.control.owner_gateway import OwnerGateway
from sparkd.control.usage import usage_routes
from sparkd.engines import find_engine_problems
from sparkd.errors import CatalogueError
from sparkd.gateway import Gateway
from sparkd.journal.recent import RecentLines
from sparkd.learning.history import History
from sparkd.learning.learning import Learning
from sparkd.machine.gpu_sensors import GpuSensors
from sparkd.machine.memory import MemoryProbe
from sparkd.metrics.routes import metrics_routes, public_metrics_routes
from sparkd.metrics.service import Metrics
from sparkd.page.files import FileStore
from sparkd.page.owner import OwnerPage
from sparkd.page.port import PortPage
from sparkd.processes import cgroups
from sparkd.processes.pids import boot_id
from sparkd.processes.run_directories import RunDirectories
from sparkd.scheduling.scheduler import Scheduler
from sparkd.supervising.downloads import Downloads
from sparkd.supervising.history_recording import HistoryRecorder, run_store
from sparkd.supervising.instruments import MachineInstruments
from sparkd.supervising.launchers import Launchers
from sparkd.supervising.memory_policy import declared_budget, memory_policy_for
from sparkd.supervising.memory_watch import MemoryWatch
from sparkd.supervising.model_facts import ModelFacts
from sparkd.supervising.starting import EngineStarter
from sparkd.supervising.supervisor import Supervisor
from sparkd.supervising.tasks import Tasks, Works
from sparkd.supervising.template_facts import TemplateFacts
from sparkd.supervising.timetable import Timetable
from sparkd.usage.reader import UsageReader
from sparkd.usage.sampler import Sampler
from sparkd.usage.store import UsageStore

logger = logging.getLogger(__name__)

LAUNCHER_MEMORY: Final = GIB
"""Bytes that must be free for a launcher. vLLM's uses half of it."""


class App(Struct, frozen=True):
    """The objects that the daemon serves and controls."""

    supervisor: Supervisor
    gateway: Gateway
    owner: OwnerGateway
    reloader: CatalogueReloader
    succession: Succession
    replacement: Replacement
    control: ASGIApp
    live: LiveHub
    works: Works


def build_app(
    catalogue: Catalogue,
    run_directories: RunDirectories,
    snapshot: DaemonSnapshot | None = None,
    recent: RecentLines | None = None,
) -> App:
    """Create the daemon's objects for one catalogue. `snapshot` is what an earlier sparkd has handed over, `recent`
    has the lines that were logged.

    Needs a running event loop. Raises CatalogueError for problems that only engines or the API key files reveal, and
    ProbeError if the machine's memory cannot be read.
    """
    if problems := find_engine_problems(catalogue):
        raise CatalogueError(problems)
    snapshot = snapshot or DaemonSnapshot()
    watch = MemoryWatch(MemoryProbe())
    machine_total = watch.memory.total
    history = History.open(catalogue.folder("state") / "history.sqlite", boot_id())
    for notice in history.notices:
        logger.warning("%s", notice)
    learning = Learning(
        catalogue, history, machine_total, declared_budget(catalogue, machine_total), resumed=snapshot.models
    )
    budget, footprint = memory_policy_for(catalogue, machine_total, learning)
    models = {**catalogue.models, **snapshot.definitions()}
    scheduler = Scheduler(
        models,
        budget=budget,
        footprint=footprint,
        settings=catalogue.settings,
        can_prepare=lambda model: supervisor.resources.can_prepare(model),  # noqa: PLW0108 - created below
        load_time=learning.load_time,
    )
    keys = read_keys(catalogue)
    known = {entry.model for entry in snapshot.entries}
    scheduler.on_memory(watch.memory.available, watch.memory.scarcest, time.monotonic())
    tasks, claimed = Tasks(), cgroups.claim()
    launchers = Launchers(
        run_directories=run_directories,
        cgroups=claimed,
        learning=learning,
        tasks=tasks,
        has_room=lambda: _has_room_for_launcher(scheduler, watch),
        on_memory=lambda used: supervisor.resources.on_launchers(used),  # noqa: PLW0108 - created below
    )
    downloads, template_facts = Downloads(catalogue), TemplateFacts(catalogue, tasks)
    downloads.on_complete = template_facts.refresh
    supervisor = Supervisor(
        catalogue,
        scheduler,
        run_directories=run_directories,
        starter=EngineStarter(run_directories, claimed, launchers),
        watch=watch,
        learning=learning,
        downloads=downloads,
        tasks=tasks,
        started=snapshot.started,
        replacements=snapshot.replacements,
    )
    usage, recorder = _create_usage_store(supervisor, scheduler)
    restore_quarantines(
        supervisor,
        scheduler,
        learning,
        [each for each in learning.models_with_records() if each.id not in known],
    )
    gateway = Gateway(catalogue, supervisor, keys, template_of=template_facts.template_of)
    template_facts.on_change = gateway.forget_templates
    supervisor.runs.on_launch = lambda model: template_facts.refresh([model])  # the files may have changed
    template_facts.refresh()
    reloader = CatalogueReloader(
        supervisor, scheduler, gateway, learning, template_facts=template_facts, machine_total=machine_total
    )
    reloader.on_reload = recorder.record_reload
    gateway.recorder.subscribe(usage.add_requests, keeps=True)
    succession, replacement = Succession(supervisor, scheduler, learning), Replacement(catalogue)
    recent_requests = RecentRequests()
    gateway.recorder.subscribe(recent_requests.add)
    gateway.recorder.subscribe(gateway.captures.finish)
    sources = Sources(
        gateway.recorder.active, recent_requests, notices=lambda: capture_notices(gateway.captures)
    )
    live = LiveHub(
        LiveReader(
            supervisor,
            scheduler,
            lambda: watch.memory,
            learning.last_guard_action,
            sources,
        )
    )
    owner = OwnerGateway(gateway)
    sensors, usage_reader = GpuSensors(), UsageReader(usage.path, usage)
    metrics = Metrics(supervisor, scheduler, sensors)
    sampler = _create_sampler(
        supervisor,
        gateway,
        MachineInstruments(scheduler, supervisor.runs.launched, watch, sensors, gateway.recorder.active.rows),
        usage,
    )
    control_routes = [
        *owner.routes(),
        *active_request_routes(gateway.recorder.active),
        *_owner_routes(supervisor, reloader, ModelFacts(supervisor, scheduler, learning), usage_reader),
        *active_request_routes(gateway.recorder.active),
        *usage_routes(usage_reader, gateway.recorder.flush),
        *measurement_routes(sampler, usage_reader),
        *metrics_routes(metrics),
        *log_routes(recent or RecentLines()),
        *log_file_routes(supervisor, run_directories.log_paths),
        *event_routes(live),
        *capture_routes(gateway.captures, lambda: supervisor.catalogue, lambda: gateway.access.key_names),
        *client_routes(
            ClientSource(
                catalogue=lambda: supervisor.catalogue,
                listen=lambda: supervisor.listen,
                key_names=lambda: gateway.access.key_names,
            )
        ),
    ]
    control = create_control_app(supervisor, reloader, replacement, control_routes)
    files = FileStore()
    gateway.add_routes([PortPage(gateway, control, files), *public_metrics_routes(metrics, gateway)])
    works = Works(tasks)
    works.add("memory watch", supervisor.resources.watch_memory)
    works.add("launcher watch", supervisor.resources.watch_launchers)
    works.add("request records", gateway.recorder.run, gateway.recorder.flush)
    works.add("measurements", sampler.run, sampler.close)  # is closed before the store that it writes to
    works.add(
        "usage", lambda: run_store(usage, scheduler, is_successor=snapshot.replacements > 0), usage.close
    )
    works.add("timetable", Timetable(lambda: supervisor.catalogue, supervisor.lease, tasks).run)
    works.add("live state", live.run)
    return App(
        supervisor,
        gateway,
        owner,
        reloader,
        succession,
        replacement,
        OwnerPage(control, files),
        live,
        works,
    )


def _create_usage_store(supervisor: Supervisor, scheduler: Scheduler) -> tuple[UsageStore, HistoryRecorder]:
    """Return where requests and the history of models are kept, and what records the history there."""
    usage = UsageStore(
        supervisor.catalogue.folder("state") / "usage.sqlite",
        lambda: supervisor.catalogue.settings.usage,
        __version__,
    )
    recorder = HistoryRecorder(usage, lambda: supervisor.catalogue, supervisor.started)
    scheduler.observer, supervisor.downloads.on_occurrence = recorder, recorder.record_occurrence
    return usage, recorder


def _create_sampler(
    supervisor: Supervisor, gateway: Gateway, instruments: MachineInstruments, usage: UsageStore
) -> Sampler:
    """Return what measures the machine over time. It counts the tokens of finished requests."""
    file = supervisor.catalogue.folder("state") / "measurements.recent"
    sampler = Sampler(instruments, usage, file, boot_id())
    gateway.recorder.subscribe(sampler.on_finished)
    return sampler


def _owner_routes(
    supervisor: Supervisor, reloader: CatalogueReloader, facts: ModelFacts, usage: UsageReader
) -> list[BaseRoute]:
    """Routes of the catalogue, its models and the doctor."""
    return [
        *catalogue_routes(supervisor, reloader),
        *option_routes(supervisor, facts.preview_command),
        *model_row_routes(supervisor, facts, usage.read_model_use),
        *doctor_routes(supervisor),
    ]


def _has_room_for_launcher(scheduler: Scheduler, watch: MemoryWatch) -> bool:
    """Whether a launcher fits beside what runs now. On a GPU with its own memory, it uses the host's.

    While launchers end because a model needs their memory, another one would take that memory again.
    """
    if scheduler.is_ending_launchers:
        return False
    if watch.memory.kind == "separate":
        return watch.memory.host_available - scheduler.guard.floor >= LAUNCHER_MEMORY
    return scheduler.has_room(LAUNCHER_MEMORY)
