"""Sources for steps: git repositories of our own, and steps that make real wheels of them with a real C compiler."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

from sparkd.catalog.steps import Checkout, Patch, Step

EXTENSION = """
#include <Python.h>
#include "number.h"
static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(NUMBER + 0); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "EXT", "", -1, methods};
PyMODINIT_FUNC PyInit_EXT(void) { return PyModule_Create(&module); }
"""

BUILD = """
import os, subprocess, sys, sysconfig, time, zipfile
name, wheels = sys.argv[1:]
with open(os.environ["JOURNAL"], "a") as journal:
    journal.write(name + " " + os.environ["MAX_JOBS"] + "\\n")
while os.path.exists(os.environ["JOURNAL"] + ".stop-" + name):
    open(os.environ["JOURNAL"] + ".stopped", "w").close()
    time.sleep(0.05)
library = name + sysconfig.get_config_var("EXT_SUFFIX")
headers = sysconfig.get_path("include")
subprocess.run(["cc", "-shared", "-fPIC", "-O0", "-I" + headers, "-Icommon", "ext.c", "-o", library], check=True)
inside = name + "-1.0.dist-info/"
with zipfile.ZipFile(os.path.join(wheels, name + "-1.0-py3-none-any.whl"), "w") as wheel:
    wheel.write(library)
    wheel.writestr(inside + "METADATA", "Metadata-Version: 2.1\\nName: " + name + "\\nVersion: 1.0\\n")
    wheel.writestr(inside + "WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: 0\\nTag: py3-none-any\\n")
    wheel.writestr(inside + "RECORD", "".join(f"{file},,\\n" for file in (library, inside + "METADATA")))
"""

PATCH = """--- a/ext.c
+++ b/ext.c
@@ -3,3 +3,3 @@
 #include "number.h"
-static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(NUMBER + 0); }
+static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(NUMBER + 1); }
 static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {0}};
"""

ENVIRONMENT = {
    "GIT_CONFIG_COUNT": "1",  # by default git takes no submodule from a folder
    "GIT_CONFIG_KEY_0": "protocol.file.allow",
    "GIT_CONFIG_VALUE_0": "always",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "protocol.file.allow=always")
    ran = subprocess.run(("git", *who, *arguments), cwd=folder, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


def commit(folder: Path, **files: str) -> str:
    """A commit with these additional files (`__` in a name stands for a dot), and its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main", ".")
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "more")
    return git(folder, "rev-parse", "HEAD")


class Workshop:
    """A repository `ext` with a submodule `common`, steps that build it, and what they wrote into their journal."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.journal = place / "journal"
        self.common, self.ext = place / "common", place / "ext"
        commit(self.common, number__h="#define NUMBER 41\n")
        commit(self.ext)
        git(self.ext, "submodule", "--quiet", "add", str(self.common), "common")
        self.commit = commit(self.ext, ext__c=EXTENSION, build__py=BUILD)

    def step(self, name: str = "first", **keys: Any) -> Step:
        usual = {
            "step": name,
            "sources": (Checkout(repository=str(self.ext), commit=self.commit, submodules=("common",)),),
            "needs": {
                "git": "sudo apt-get install git",
                "cc": "sudo apt-get install gcc",
                "Python.h": "get it",
            },
            "commands": (
                ("sed", "-i", f"s/EXT/{name}/; s/PyInit_EXT/PyInit_{name}/", "ext.c"),
                ("{python}", "build.py", name, "{wheels}"),
            ),
            "environment": {"JOURNAL": str(self.journal)},
            "builds": (name,),
        }
        return Step(**{**usual, **keys})

    def patch(self, definition: Path, text: str = PATCH) -> Patch:
        """A patch beside a definition, pinned as it is."""
        (definition / "one.patch").write_text(text)
        return Patch(file="one.patch", sha256=hashlib.sha256(text.encode()).hexdigest())

    @property
    def built(self) -> list[str]:
        """The steps whose compiler was run, in order, each time."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        return [line.split()[0] for line in lines]
