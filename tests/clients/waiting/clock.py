"""How the tests shorten time: a simulated second takes 20 ms, for sparkd, the engine and the clients alike."""

from __future__ import annotations

from typing import Final

SECOND: Final = 0.02
"""Real seconds that a simulated second takes."""

LOAD: Final = 400 * SECOND
"""How long the model loads after all clients have asked for it."""

AFTER: Final = 10 * SECOND
"""When the first heartbeat is due, and the time between two: the default of sparkd."""

BYTE_TIMEOUT: Final = 300 * SECOND
"""Seconds without a byte after which a client gives up: the default of everything that runs on Node.js."""

CHUNK_TIMEOUT: Final = 120 * SECOND
"""Seconds without a parsed chunk after which a client gives up: the default of LangChain."""
