"""sparkd: names a model on one port, gets its answer from an engine that was not running a moment ago."""

from typing import Final

__version__: Final = "0.1.0"
