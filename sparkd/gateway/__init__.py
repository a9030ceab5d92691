"""The port that clients connect to: keys, naming, forwarding, errors, model lists.

app            the route table, and the shortcut past it
endpoints      what the routes lead to; error_responses renders what they raise
protocol       a client's connection: uvicorn's, with what it leaves open decided; server starts and stops it
request_head, paths, naming, body, multipart, keys    reading a request
prepared_request    the request for the engine; deferred_count counts its tokens where an estimate is not enough
forwarding     a prepared request on its way: lease, engine, response
response_writer    the response, written from inside the read that brought it
request_log    what the journal has of requests
"""

from sparkd.gateway import uvicorn_import  # noqa: F401  # before all that imports uvicorn
from sparkd.gateway.app import Gateway

__all__ = ["Gateway"]
