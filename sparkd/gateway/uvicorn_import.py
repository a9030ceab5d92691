"""Imports uvicorn without its command line.

`import uvicorn` also imports `uvicorn.main`: click, multiprocessing and a reloader, which sparkd never uses. They cost
each start 12 ms and the daemon 1.6 MB. A placeholder takes that module's place during the import only.
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
    uvicorn.Server = Server  # type: ignore[misc]  # the class that the package would have exported
