"""Clients that never stop asking, each on a new connection: `load.py THREADS`, until a line comes on stdin.

Prints what became of every request as JSON: {"200": 1234, "lost": 0, …}. The standard library only.
"""

from __future__ import annotations

import collections
import http.client
import json
import os
import sys
import threading

BODY = json.dumps({"model": "a", "messages": [{"role": "user", "content": "one two three"}]})
HEADERS = {
    "content-type": "application/json",
    "authorization": f"Bearer {os.environ['KEY']}",
    "connection": "close",
}


def ask() -> str:
    """The status of one request, or how its connection was lost."""
    connection = http.client.HTTPConnection("127.0.0.1", 8009, timeout=60)
    try:
        connection.request("POST", "/v1/chat/completions", BODY, HEADERS)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        print(repr(error), file=sys.stderr)
        return "lost"
    finally:
        connection.close()
    return str(answer.status)


def main() -> None:
    over = threading.Event()
    told: collections.Counter[str] = collections.Counter({"lost": 0})

    def go_on() -> None:
        while not over.is_set():
            told[ask()] += 1

    threads = [threading.Thread(target=go_on) for _ in range(int(sys.argv[1]))]
    for thread in threads:
        thread.start()
    sys.stdin.readline()
    over.set()
    for thread in threads:
        thread.join()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
