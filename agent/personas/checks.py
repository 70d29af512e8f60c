"""What is wrong with a persona's model, in words."""

from __future__ import annotations

from agent.personas.persona import MODEL_PREFIX
from config.models.deployments import Registry
from config.parsing.validation import did_you_mean


def model_problem(model: str, registry: Registry) -> str | None:
    """Why a persona cannot run on `model`; None if it can."""
    if model.startswith(MODEL_PREFIX):
        return "must be a model of models.yaml, not an agent"
    if model in ("", "default") or registry.resolve(model) is not None:
        return None
    names = registry.names()
    hint = did_you_mean(model, names) or (f"; the models are {', '.join(names)}" if names else "")
    return f"names {model!r}, which is no model here{hint}"
