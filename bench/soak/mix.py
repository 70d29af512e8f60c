"""The mix of faults: which models there are, and how often each is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "tool", "transfer"]

SETTINGS: dict[str, Any] = {
    "turn_deadline": 8,
    "first_token_timeout": 0.5,
    "stall_timeout": 0.5,
    "cooldown_time": 1,
}
"""Less patient than the defaults, so that faults follow each other more closely."""

_FAULTS = (
    "fake-429", "fake-429-retry-after", "fake-500-once", "fake-503", "fake-flap", "fake-401", "fake-404", "fake-reset",
    "fake-silent", "fake-slow-first-token", "fake-stall-early", "fake-stall", "fake-cut", "fake-cut?gap=5ms",
    "fake-inband-error", "fake-inband-error-late?gap=5ms", "fake-malformed", "fake-no-done", "fake-html", "fake-empty",
    "fake-outage-2", "fake-ok?first=50ms&gap=10ms", "fake-context", "fake-filter", "fake-400",
)  # fmt: skip
_SPARES = ("fake-ok", "fake-continue", "fake-overlap", "fake-restart", "fake-no-prefill")
PREFILL = {"fake-no-prefill", "fake-continue"}


@dataclass(frozen=True, slots=True)
class Mixed:
    """A model that callers ask for; some of them hang up."""

    model: str
    kind: Kind = "text"
    weight: int = 1
    hangs_up: bool = False


def mix() -> tuple[Mixed, ...]:
    """One model for each fault, and the tools, those who hang up, and a good provider beside them."""
    return (
        *(Mixed(_name(fault)) for fault in _FAULTS),
        Mixed("good", weight=8),
        Mixed("gone", weight=4, hangs_up=True),
        Mixed("gone-silent", weight=2, hangs_up=True),
        Mixed("tool", kind="tool", weight=2),
        Mixed("transfer", kind="transfer", weight=2),
        Mixed("alone"),
        Mixed("nobody"),
    )


def models_file(provider: str, refusing: str) -> dict[str, Any]:
    """models.yaml for the mix; `provider` and `refusing` are addresses. Each fault has another kind of spare."""
    entries, fallbacks = [], []

    def add(name: str, *behaviours: str, address: str = provider) -> None:
        for order, behaviour in enumerate(behaviours):
            model, mark, pace = behaviour.partition("?")
            params = {
                "model": f"openai/{model}:{name}{mark}{pace}",
                "api_base": address,
                "api_key": "sk-soak",
                "order": order,
            }
            entries.append(
                {
                    "model_name": name,
                    "litellm_params": params,
                    "model_info": {"supports_assistant_prefill": model in PREFILL},
                }
            )

    for number, fault in enumerate(_FAULTS):
        add(_name(fault), fault)
        add(f"{_name(fault)}-spare", _SPARES[number % len(_SPARES)])
        fallbacks.append({_name(fault): [f"{_name(fault)}-spare"]})
    add("good", "fake-ok")
    add("gone", "fake-ok?first=50ms&gap=20ms")
    add("gone-silent", "fake-silent", "fake-stall")
    add("tool", "fake-tool-cut", "fake-tool")
    add("transfer", "fake-tool-cut", "fake-tool")
    add("alone", "fake-cut?gap=5ms")
    add("nobody", "fake-ok", address=refusing)
    return {"model_list": entries, "router_settings": {**SETTINGS, "fallbacks": fallbacks}}


def _name(fault: str) -> str:
    """The model name for a fault: without `fake-`, and with a word instead of a pace."""
    name, mark, _ = fault.removeprefix("fake-").partition("?")
    return f"{name}-paced" if mark else name
