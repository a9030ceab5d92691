"""The routes of Ollama's API."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from sparkd.gateway.ollama.generation import Generation
from sparkd.gateway.ollama.lists import ps, reject_owner_path, show, tags, version
from sparkd.gateway.ollama.pull import pull
from sparkd.ollama.pulls import OWNER_PATHS


def ollama_routes() -> list[BaseRoute]:
    """Everything below `/api/` but `/api/v1/…`, which is another address of `/v1/…`."""
    post = ["POST"]
    return [
        Route("/api/chat", Generation("chat"), methods=post),
        Route("/api/generate", Generation("generate"), methods=post),
        Route("/api/embed", Generation("embed"), methods=post),
        Route("/api/embeddings", Generation("embeddings"), methods=post),
        Route("/api/version", version),
        Route("/api/tags", tags),
        Route("/api/ps", ps),
        Route("/api/show", show, methods=post),
        Route("/api/pull", pull, methods=post),
        *(
            Route(path, reject_owner_path, methods=["GET", "POST", "PUT", "DELETE"])
            for name in OWNER_PATHS
            for path in (f"/api/{name}", f"/api/{name}/{{rest:path}}")
        ),
    ]
