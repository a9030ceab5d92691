"""The composition root: every object of the daemon is created and connected here, once.

engine_room     what runs models: scheduler, supervisor, memory watch, what was learned
observation     what watches it: finished requests, history, measurements, metrics, the live state
owner_api       what the owner reaches: the control API and the page
"""

from __future__ import annotations

from msgspec import Struct
from starlette.types import ASGIApp

from sparkd.catalog import Catalogue
from sparkd.catalog.reading.keys import read_keys
from sparkd.composition.engine_room import build_engine_room
from sparkd.composition.observation import build_observation
from sparkd.composition.owner_api import OwnerParts, build_owner_api
from sparkd.continuity.handover import DaemonSnapshot
from sparkd.continuity.reloading import CatalogueReloader
from sparkd.continuity.replacement import Replacement
from sparkd.continuity.succession import Succession
from sparkd.control.live.hub import LiveHub
from sparkd.control.owner_gateway import OwnerGateway
from sparkd.gateway import Gateway
from sparkd.journal.recent import RecentLines
from sparkd.processes.run_directories import RunDirectories
from sparkd.supervising.supervisor import Supervisor
from sparkd.supervising.tasks import Works
from sparkd.supervising.timetable import Timetable


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
    snapshot = snapshot or DaemonSnapshot()
    room = build_engine_room(catalogue, run_directories, snapshot)
    supervisor, scheduler, learning, facts = room.supervisor, room.scheduler, room.learning, room.templates
    gateway = Gateway(catalogue, supervisor, read_keys(catalogue), template_of=facts.template_of)
    facts.on_change = gateway.forget_templates
    facts.refresh()
    reloader = CatalogueReloader(
        supervisor, scheduler, gateway, learning, template_facts=facts, machine_total=room.watch.memory.total
    )
    works = Works(supervisor.tasks)
    works.add("memory watch", supervisor.resources.watch_memory)
    works.add("launcher watch", supervisor.resources.watch_launchers)
    works.add("timetable", Timetable(lambda: supervisor.catalogue, supervisor.lease, supervisor.tasks).run)
    observation = build_observation(room, gateway, reloader, works, is_successor=snapshot.replacements > 0)
    replacement = Replacement(catalogue)
    parts = OwnerParts(room, gateway, reloader, replacement, observation)
    owner, page = build_owner_api(parts, run_directories, recent or RecentLines())
    succession = Succession(supervisor, scheduler, learning)
    return App(supervisor, gateway, owner, reloader, succession, replacement, page, observation.live, works)
