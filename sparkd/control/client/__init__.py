"""The control API's client, for sparkctl and for your own scripts.

connection        requests, streams and their errors; the base of the classes with methods
sockets           which socket is used, and what is wrong if nothing can be reached there
captures, catalogue, daemon, live, logs, models, requests, usage
                  the methods, one class for each topic
"""

from __future__ import annotations

from sparkd.control.client.captures import CaptureMethods
from sparkd.control.client.catalogue import CatalogueMethods
from sparkd.control.client.daemon import DaemonMethods
from sparkd.control.client.live import LiveMethods
from sparkd.control.client.logs import LogMethods
from sparkd.control.client.models import ModelMethods
from sparkd.control.client.requests import RequestMethods
from sparkd.control.client.sockets import SOCKET_VARIABLE, find_socket
from sparkd.control.client.usage import UsageMethods

__all__ = ["SOCKET_VARIABLE", "ControlClient", "find_socket"]


class ControlClient(
    CaptureMethods,
    CatalogueMethods,
    DaemonMethods,
    ModelMethods,
    RequestMethods,
    LiveMethods,
    LogMethods,
    UsageMethods,
):
    """A connection to the daemon at `socket`. A context manager, for one thread.

    Every method, and the constructor, raises DaemonUnreachable if no daemon runs, it does not respond within
    `timeout` seconds, or another program responds; ControlForbidden if the socket belongs to another user; and
    DaemonError with the daemon's `code`, message and `retry_after` for an error response. `name` is an id or an
    alias.
    """
