from __future__ import annotations

from typing import Any

import pytest

from config.models.deployments import Deployment
from router.providers.supported_params import IF_SUPPORTED, supported_params

WISHED = {"reasoning_effort": "low", "top_k": 5}


def sent(model: str, **info: Any) -> dict[str, Any]:
    deployment = Deployment(id="d", group="g", model=model, info=info)
    return dict(supported_params(deployment, {"max_tokens": 1, IF_SUPPORTED: WISHED}))


@pytest.mark.parametrize(
    ("model", "taken"),
    [
        ("anthropic/claude-sonnet-4-5", {"reasoning_effort", "top_k"}),
        ("anthropic/claude-3-5-haiku-20241022", {"top_k"}),
        ("openai/gpt-5-mini", {"reasoning_effort"}),
        ("openai/gpt-4o", set()),
        ("openai/some-server", set()),
        ("fake/echo", set()),
    ],
)
def test_a_model_gets_what_it_has(model: str, taken: set[str]) -> None:
    assert sent(model) == {"max_tokens": 1, **{name: WISHED[name] for name in taken}}


def test_the_operator_knows_better() -> None:
    assert sent("openai/gpt-5-mini", supports_reasoning=False) == {"max_tokens": 1}
    assert sent("openai/some-server", supports_reasoning=True) == {"max_tokens": 1, "reasoning_effort": "low"}


def test_other_parameters_are_as_they_were() -> None:
    params = {"max_tokens": 1}
    assert supported_params(Deployment(id="d", group="g", model="fake/echo"), params) is params
