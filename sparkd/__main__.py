"""The program `sparkd`, also as `python -m sparkd`: the daemon."""

import gc
import sys


def main() -> int:
    """Run the daemon; return its exit status."""
    # Nearly all that a start creates is kept: searching it for garbage again and again takes a tenth of the start.
    # The daemon switches the collector on as soon as it serves.
    gc.disable()
    from sparkd.daemon import main as run  # noqa: PLC0415  # the imports are most of a start

    return run()


if __name__ == "__main__":
    sys.exit(main())
