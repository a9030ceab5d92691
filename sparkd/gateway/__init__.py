"""The port that clients connect to: keys, naming, forwarding, errors, model lists.

app                the route table, and the shortcut past it
endpoints          what the routes call; error_responses renders what they raise
protocol           a client's connection: uvicorn's protocol with its gaps filled; server starts and stops it
uvicorn_import     imports uvicorn without its command line
request_head, paths, addresses, naming, body, content_coding, multipart, keys    how a request is read
engine_paths, suitability    what engines serve, and requests that the model's engine cannot serve
key_policies       what each API key may do; key_limits counts its requests
client_recognition    client programs and kinds of requests; shapes reads bodies for it
background         who serves a request in the background whose model is not loaded
choosing           the model for a request that names several
prepared_request   the request for the engine, from body_reader, rewrite_contexts (what the rules need to know) and
                   engine_requests; deferred_count counts its tokens if an estimate is not enough
token_counting     requests that only count tokens, answered without loading a model
forwarding         a prepared request: lease, engine, response
answer             what is changed in a response: engine_errors reads errors, validation_errors cuts them,
                   model_echo puts in the name that was asked for, event_stream does both in a stream
operating          paths that load and unload models; keep_alive reads how long a body wants its model kept
choices            names that stand for several models
ollama             Ollama's API, by the translations of sparkd/ollama
response_writer    the response, written from inside the read that brought it
request_log        what the journal has of requests
"""

from sparkd.gateway import uvicorn_import  # noqa: F401  # before any module that imports uvicorn
from sparkd.gateway.app import Gateway

__all__ = ["Gateway"]
