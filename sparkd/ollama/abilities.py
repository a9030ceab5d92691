"""What a model can do, as the `capabilities` of `/api/show`."""

from __future__ import annotations

from sparkd.catalog.definitions import Model
from sparkd.catalog.tasks import find_tasks
from sparkd.ollama.infill import find_infill_template


def find_abilities(model: Model) -> tuple[str, ...]:
    """Those that the catalogue shows. A model that the catalogue says nothing of completes text."""
    tasks = find_tasks(model)
    if tasks is not None and "generate" not in tasks:
        return ("embedding",) if "embed" in tasks else ()
    options, thinks = model.options, model.rewriting.thinking_switch
    found = {
        "completion": True,
        "tools": "tool-call-parser" in options or "tools" in model.tags,
        "vision": model.vision,
        "thinking": "reasoning-parser" in options or thinks or "reasoning" in model.tags,
        "insert": find_infill_template(model.id, model.source, model.family) is not None,
    }
    return tuple(name for name, has_it in found.items() if has_it and not _strips(model, name))


def _strips(model: Model, ability: str) -> bool:
    return ability == "tools" and model.rewriting.tools == "strip"
