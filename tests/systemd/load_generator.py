"""Clients that send requests without a pause, each on a new connection, until a line arrives on stdin.

    load_generator.py THREADS

Prints the results of all requests as JSON: {"200": 1234, "lost": 0, …}. Uses only the standard library.
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
    """Send one request; return its status, or how its connection was lost."""
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
    finished = threading.Event()
    counts: collections.Counter[str] = collections.Counter({"lost": 0})

    def keep_asking() -> None:
        while not finished.is_set():
            counts[ask()] += 1

    threads = [threading.Thread(target=keep_asking) for _ in range(int(sys.argv[1]))]
    for thread in threads:
        thread.start()
    sys.stdin.readline()
    finished.set()
    for thread in threads:
        thread.join()
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
