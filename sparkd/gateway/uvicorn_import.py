"""Imports uvicorn without its command line.

The package imports that by itself, and with it click, multiprocessing and a reloader, none of which sparkd uses: 12 ms
of each start and 1.6 MB. sparkd.gateway imports this module before anything else that imports uvicorn.
"""

from __future__ import annotations

import sys
from types import ModuleType

COMMAND_LINE = "uvicorn.main"

if "uvicorn" not in sys.modules:
    placeholder = ModuleType(COMMAND_LINE)
    placeholder.__dict__.update(Server=None, main=None, run=None)
    sys.modules[COMMAND_LINE] = placeholder
    import uvicorn
    from uvicorn.server import Server

    del sys.modules[COMMAND_LINE]
    uvicorn.Server = Server  # type: ignore[misc]  # the very same class
