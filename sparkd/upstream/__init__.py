"""The HTTP/1.1 client of an engine: connections kept alive, requests sent, responses passed on as they arrive."""
