"""The HTTP/1.1 client for engines: keeps connections alive, sends requests, passes responses on as they arrive."""
