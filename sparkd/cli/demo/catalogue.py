"""The catalogue of the demo: two small models on the cpu runtime, everything below one folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import tomli_w

from sparkd.catalog import Catalogue
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.replacing import replace_file
from sparkd.cli.demo.models import CHAT, EMBEDDINGS

CHAT_ID = "smollm2"
EMBEDDINGS_ID = "minilm"

# Without --kv-cache-memory-bytes, vLLM uses a share of the machine's memory. Without eager mode, it needs a C++
# compiler. With 32-bit floats, these models give the same responses on every processor.
_OPTIONS = {"enforce-eager": True, "dtype": "float32", "max-num-seqs": 8}


def write_catalogue(home: Path, port: int) -> Catalogue:
    """Write and read `<home>/.sparkd/demo/models.toml`. `home` is the folder that has `venvs/`.

    Raises CatalogueError.
    """
    folder = home / ".sparkd" / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "models.toml"
    # Other users must not read the demo's logs or use its sockets.
    folder.chmod(0o700)
    text = "# Written by `sparkctl demo`, again at every run.\n\n" + tomli_w.dumps(_tables(home, port))
    replace_file(path, text.encode())
    return read_catalogue(path)


def _tables(home: Path, port: int) -> dict[str, Any]:
    models = home / ".sparkd" / "models"
    # Half of the processors, so that the machine stays responsive.
    threads = str(max(1, (os.cpu_count() or 1) // 2))
    return {
        "server": {"listen": f"localhost:{port}"},
        "memory": {"reserve": "1 GiB"},
        "defaults": {"idle_timeout": 300.0},
        "paths": {
            "models": str(models),
            "state": "state",
            "run": "run",
            "runtimes": str(home / ".sparkd" / "runtimes"),
            "venvs": str(home / "venvs"),
        },
        "models": {
            CHAT_ID: {
                "description": "SmolLM2 135M, a very small model that speaks English",
                "aliases": [CHAT.folder],
                "runtime": "cpu",
                "source": str(models / CHAT.folder),
                "context_length": 2048,
                "memory": "3 GiB",
                "options": {**_OPTIONS, "kv-cache-memory-bytes": "128M"},
                "environment": {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": threads},
            },
            EMBEDDINGS_ID: {
                "description": "all-MiniLM-L6-v2, sentence embeddings",
                "aliases": [EMBEDDINGS.folder],
                "runtime": "cpu",
                "source": str(models / EMBEDDINGS.folder),
                "context_length": 256,
                "memory": "2 GiB",
                "options": {**_OPTIONS, "runner": "pooling", "kv-cache-memory-bytes": "64M"},
                "environment": {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": threads},
            },
        },
    }
