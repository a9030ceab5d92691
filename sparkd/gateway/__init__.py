"""The port that clients connect to: keys, naming, forwarding, errors, model lists.

app                the route table, and the shortcut past it
endpoints          what the routes call: forwarding and model_list; status_endpoints; operating and holding
connections/       the HTTP server and a client's connection
request_head       a request's head, parsed once
admission/         access: keys, pages, limits; which program the client is
preparation/       the request for the engine: paths, naming, bodies, choices, background, token counts
forwarding         a prepared request: lease, engine, response
heartbeats/        what a client gets while it waits
responses/         the response: answers, streams, errors in the shape of each API
ollama/            Ollama's API, by the translations of sparkd/ollama
request_log        what the journal has of requests
uvicorn_import     imports uvicorn without its command line
"""

from sparkd.gateway import uvicorn_import  # noqa: F401  # before any module that imports uvicorn
from sparkd.gateway.app import Gateway

__all__ = ["Gateway"]
