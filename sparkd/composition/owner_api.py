"""What the owner reaches: the control API, and the page on its socket and on the port of clients."""

from __future__ import annotations

from msgspec import Struct
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from sparkd.composition.engine_room import EngineRoom
from sparkd.composition.observation import Observation
from sparkd.continuity.reloading import CatalogueReloader
from sparkd.continuity.replacement import Replacement
from sparkd.control.active_requests import active_request_routes
from sparkd.control.app import create_control_app
from sparkd.control.captures import capture_routes
from sparkd.control.catalogue import catalogue_routes
from sparkd.control.client_source import ClientSource
from sparkd.control.clients import client_routes
from sparkd.control.doctor import doctor_routes
from sparkd.control.live.stream import event_routes
from sparkd.control.log_files import log_file_routes
from sparkd.control.log_lines import log_routes
from sparkd.control.measurements import measurement_routes
from sparkd.control.model_rows import model_row_routes
from sparkd.control.model_uses import ModelUses
from sparkd.control.options import option_routes
from sparkd.control.owner_gateway import OwnerGateway
from sparkd.control.usage import usage_routes
from sparkd.gateway import Gateway
from sparkd.journal.recent import RecentLines
from sparkd.metrics.routes import metrics_routes, public_metrics_routes
from sparkd.page.files import FileStore
from sparkd.page.owner import OwnerPage
from sparkd.page.port import PortPage
from sparkd.processes.run_directories import RunDirectories
from sparkd.supervising.model_facts import ModelFacts


class OwnerParts(Struct, frozen=True):
    """What the control API controls and reads."""

    room: EngineRoom
    gateway: Gateway
    reloader: CatalogueReloader
    replacement: Replacement
    observation: Observation


def build_owner_api(
    parts: OwnerParts, run_directories: RunDirectories, recent: RecentLines
) -> tuple[OwnerGateway, ASGIApp]:
    """Return the gateway that serves the owner without a key, and the application of the control socket.

    Adds the page and the metrics to the port of clients.
    """
    supervisor, gateway, metrics = parts.room.supervisor, parts.gateway, parts.observation.metrics
    owner = OwnerGateway(gateway)
    routes = [
        *owner.routes(),
        *_routes_of_models(parts),
        *_routes_of_requests(parts),
        *metrics_routes(metrics),
        *log_routes(recent),
        *log_file_routes(supervisor, run_directories.log_paths),
        *event_routes(parts.observation.live),
        *doctor_routes(supervisor),
    ]
    control = create_control_app(supervisor, parts.reloader, parts.replacement, routes)
    files = FileStore()
    gateway.add_routes([PortPage(gateway, control, files), *public_metrics_routes(metrics, gateway)])
    return owner, OwnerPage(control, files)


def _routes_of_models(parts: OwnerParts) -> list[BaseRoute]:
    supervisor, gateway = parts.room.supervisor, parts.gateway
    facts = ModelFacts(supervisor, parts.room.scheduler, parts.room.learning)
    source = ClientSource(
        catalogue=lambda: supervisor.catalogue,
        listen=lambda: supervisor.listen,
        key_names=lambda: gateway.access.key_names,
    )
    return [
        *catalogue_routes(supervisor, parts.reloader),
        *option_routes(supervisor, facts.preview_command),
        *model_row_routes(supervisor, facts, ModelUses(parts.observation.usage)),
        *client_routes(source),
    ]


def _routes_of_requests(parts: OwnerParts) -> list[BaseRoute]:
    supervisor, gateway, observation = parts.room.supervisor, parts.gateway, parts.observation
    return [
        *active_request_routes(gateway.recorder.active),
        *usage_routes(observation.usage, gateway.recorder.flush, gateway.recorder.active.rows),
        *measurement_routes(observation.sampler, observation.usage),
        *capture_routes(gateway.captures, lambda: supervisor.catalogue, lambda: gateway.access.key_names),
    ]
