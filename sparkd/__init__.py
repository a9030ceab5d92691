"""sparkd serves many models on one port and starts and stops their engines as needed."""

from typing import Final

__version__: Final = "0.1.0"
