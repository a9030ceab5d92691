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

from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.runtime import Runtime
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

SCRIPTED_MODELS = {name: MODELS / f"scripted-{name}" for name in ("qwen", "harmony", "mistral")}
"""Llamas that call tools and end, as their chat template says, in 128 k tokens. Each template rejects what that of the
family rejects. The weights are the same files."""

_TINY_RECIPE = Path(__file__).with_name("tiny_llama.py")
_SCRIPTED_RECIPE = Path(__file__).with_name("scripted_llama.py")
_TEMPLATES = Path(__file__).with_name("templates")


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
    make_small(folder, report)


def make_small(runtime: Path, report: Callable[[str], None]) -> None:
    """Make the models whose weights are computed here, if they are missing or outdated."""
    with store.hold_lock(MODELS, report):
        _make(TINY_MODEL, {"recipe": _TINY_RECIPE.read_text()}, _run_recipe(_TINY_RECIPE, runtime), report)
        recipe = {"recipe": _SCRIPTED_RECIPE.read_text()}
        weights = MODELS / "scripted"
        _make(weights, recipe, _run_recipe(_SCRIPTED_RECIPE, runtime), report)
        for name, folder in SCRIPTED_MODELS.items():
            template = "".join((_TEMPLATES / f"{part}.jinja").read_text() for part in ("choose", name))
            _make(folder, {**recipe, "template": template}, _link(weights, template), report)


def _make(
    folder: Path, recipe: dict[str, str], fill: Callable[[Path], None], report: Callable[[str], None]
) -> None:
    record = folder / "recipe.json"
    if record.is_file() and json.loads(record.read_text()) == recipe:
        return
    report(f"Making the model {folder.name} …")
    new = folder.with_name(f".{folder.name}.preparing")
    shutil.rmtree(new, ignore_errors=True)
    fill(new)
    (new / record.name).write_text(json.dumps(recipe))
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


def _run_recipe(recipe: Path, runtime: Path) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        environ = {"PATH": "/usr/bin:/bin", "HOME": str(MODELS), "HF_HUB_OFFLINE": "1"}
        argv = (str(runtime / "bin" / "python"), str(recipe), str(folder))
        run_program(argv, directory=CLONE, environ=environ)

    return fill


def _link(weights: Path, template: str) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        folder.mkdir()
        for file in weights.iterdir():
            if file.name != "recipe.json":
                (folder / file.name).hardlink_to(file)
        (folder / "chat_template.jinja").write_text(template)

    return fill


if __name__ == "__main__":
    make_all(print)
