"""`python -m sparkd.editing.reader`: reads a catalogue for the daemon; see `apart`."""

from __future__ import annotations

import gc
import os
import pickle
import sys

from sparkd.editing.apart import ReadRequest, read_result


def main() -> int:
    """Read the request from standard input, and write the result to standard output."""
    os.nice(5)  # requests of clients are more urgent
    gc.disable()  # it ends soon
    request = pickle.load(sys.stdin.buffer)  # noqa: S301 - the daemon's request
    if not isinstance(request, ReadRequest):
        raise TypeError
    sys.stdout.buffer.write(pickle.dumps(read_result(request)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
