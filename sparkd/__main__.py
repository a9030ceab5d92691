"""The program `sparkd`, also as `python -m sparkd`: the daemon."""

import gc
import sys


def main() -> int:
    """Run the daemon; return its exit status."""
    # A start keeps almost everything that it creates. Searching it for garbage takes a tenth of the start.
    # The daemon turns the collector on as soon as it serves.
    gc.disable()
    from sparkd.daemon import main as run  # noqa: PLC0415  # the imports are most of a start

    return run()


if __name__ == "__main__":
    sys.exit(main())
