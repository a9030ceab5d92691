"""The real runtime and the small models for tests, in `.sparkd/` of the clone. The demo uses the same folder.

`python -m tests.models` builds what is missing. scripts/test runs it before pytest.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from sparkd.catalog.definitions import Runtime
from sparkd.catalog.reading import read_catalogue
from sparkd.cli.demo.models import CHAT, EMBEDDINGS, prepare_model
from sparkd.runtimes import build, find_installed, store
from sparkd.runtimes.programs import run_program

CLONE = Path(__file__).resolve().parent.parent
VENVS = CLONE / "venvs"
RUNTIMES = CLONE / ".sparkd" / "runtimes"
MODELS = CLONE / ".sparkd" / "models"

CHAT_MODEL = MODELS / CHAT.folder
"""SmolLM2-135M-Instruct: speaks English, 75 ms a token on one core."""

EMBEDDINGS_MODEL = MODELS / EMBEDDINGS.folder
"""all-MiniLM-L6-v2: 384 dimensions; serve it with `runner = "pooling"`."""

TINY_MODEL = MODELS / "tiny-llama"
"""A Llama of 2 layers with random weights: generates nonsense, 3 ms a token."""

_TINY_RECIPE = Path(__file__).with_name("tiny_llama.py")


@cache
def cpu() -> Runtime:
    """Return the definition of the cpu runtime, as the catalogue reads it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "models.toml"
        path.write_text(f'[paths]\nvenvs = "{VENVS}"\n')
        return read_catalogue(path).runtimes["cpu"]


def cpu_folder() -> Path:
    """Return the folder of the cpu runtime's build. Fails if scripts/test has not built it."""
    folder = find_installed(cpu(), RUNTIMES)
    assert folder, "the cpu runtime is not built: run scripts/test, or python -m tests.models"
    return folder


def make_all(report: Callable[[str], None]) -> None:
    """Build the runtime and prepare the models, if they are missing or outdated."""
    folder = build(cpu(), RUNTIMES, report)
    for model in (CHAT, EMBEDDINGS):
        prepare_model(model, MODELS, folder, report)
    _make_tiny(folder, report)


def _make_tiny(runtime: Path, report: Callable[[str], None]) -> None:
    record = TINY_MODEL / "recipe.json"
    recipe = {"recipe": _TINY_RECIPE.read_text()}
    with store.hold_lock(MODELS, report):
        if record.is_file() and json.loads(record.read_text()) == recipe:
            return
        report("Making a tiny Llama with random weights …")
        new = TINY_MODEL.with_name(f".{TINY_MODEL.name}.preparing")
        shutil.rmtree(new, ignore_errors=True)
        environ = {"PATH": "/usr/bin:/bin", "HOME": str(MODELS), "HF_HUB_OFFLINE": "1"}
        argv = (str(runtime / "bin" / "python"), str(_TINY_RECIPE), str(new))
        run_program(argv, directory=CLONE, environ=environ)
        (new / record.name).write_text(json.dumps(recipe))
        shutil.rmtree(TINY_MODEL, ignore_errors=True)
        new.rename(TINY_MODEL)


if __name__ == "__main__":
    make_all(print)
