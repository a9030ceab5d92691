"""What is known of a model's engine from the catalogue. Rules for what vLLM rejects leave other engines alone."""

from __future__ import annotations

from sparkd.catalog.definitions import Model, Scalar


def runs_vllm(model: Model) -> bool:
    """Whether sparkd starts vLLM for the model, so that what the engine accepts is known."""
    return model.engine == "vllm" and model.source is not None


def find_engine_option(model: Model, name: str) -> Scalar | tuple[Scalar, ...] | None:
    """The value of an engine's flag in any spelling of its name; None if it is not set. `x.a` is part of `x`."""
    for key, value in model.options.items():
        if key.strip().lstrip("-").replace("_", "-").partition(".")[0] == name:
            return value
    return None
