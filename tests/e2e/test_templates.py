"""What sparkd knows of a model's chat template follows its files while sparkd runs."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import psutil

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, wait_until
from tests.e2e.warm_runtime import WarmRuntime, text

LINES = "{% for m in messages %}{{ m.role }}{{ m.content }}{% endfor %}"
STRICT = "{% if messages[1:] | selectattr('role', 'equalto', 'system') | list %}{{ raise_exception('') }}{% endif %}"


def known(folder: Path) -> str | None:
    """What `templates.json` says about system messages for the model "a"."""
    path = folder / "state" / "templates.json"
    found = json.loads(path.read_text())["models"].get("a") if path.exists() else None
    return found and str(found["template"]["system"])


def find_prober(sparkd: SparkdProcess) -> psutil.Process | None:
    children = psutil.Process(sparkd.process.pid).children()
    return next((each for each in children if "sparkd.templates" in each.cmdline()), None)


def test_a_template_that_was_replaced_counts_when_the_model_starts(
    build: Build, runtime: WarmRuntime
) -> None:
    template = runtime.source / "chat_template.jinja"
    template.write_text(LINES)
    sparkd = build({"a": runtime.model()}, paths=runtime.paths)
    wait_until("the template is read", lambda: known(sparkd.folder) == "anywhere")
    template.write_text(STRICT + LINES)
    text(sparkd, "a")
    wait_until("the new template is read", lambda: known(sparkd.folder) == "first")


def test_requests_are_served_while_the_program_that_reads_templates_hangs(
    build: Build, runtime: WarmRuntime
) -> None:
    (runtime.source / "chat_template.jinja").write_text(
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    )
    sparkd = build({"a": runtime.model()}, paths=runtime.paths)
    prober = wait_until("templates are read", lambda: find_prober(sparkd))
    os.kill(prober.pid, signal.SIGSTOP)
    assert text(sparkd, "a") == "one two three"
    prober.kill()
    wait_until("it is reported", lambda: "Cannot read the chat templates of a: " in sparkd.log())
    (runtime.source / "chat_template.jinja").write_text(LINES)
    assert sparkd.sparkctl("reload").returncode == 0
    wait_until("the template is read", lambda: known(sparkd.folder) == "anywhere")
