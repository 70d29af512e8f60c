"""The traffic of a soak: which models exist, with which faults, and what each turn asks for."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from router.fake.sample_text import sample_pieces

TOKENS = 60
"""Words of an answer."""
TEXT = "".join(sample_pieces(TOKENS))
"""The text of a whole answer."""
PLAIN = "plain"
"""The model without a fault."""
SCRIPT = "script"
"""The fake model, which follows the scripts of reviews and tasks."""
HANG_UPS = 0.2
"""Share of the turns whose caller hangs up."""
FAULTS = 0.2
"""Share of the turns whose provider fails."""

_ALWAYS = (
    "fake-429", "fake-503", "fake-401", "fake-404", "fake-reset", "fake-silent", "fake-stall-early",
    "fake-inband-error", "fake-html", "fake-empty", "fake-400",
)  # fmt: skip
_AT_TIMES = ("fake-429-retry-after", "fake-500-once", "fake-flap", "fake-slow-first-token", "fake-outage-2")
_DURING_THE_ANSWER = ("fake-cut", "fake-stall", "fake-inband-error-late", "fake-malformed", "fake-no-done")
_PROMPT = ("fake-context", "fake-filter")
# Those that take an earlier answer of a session for one to continue are left out.
_SPARES = ("fake-ok", "fake-restart", "fake-no-prefill")
_PREFILL = {"fake-ok", "fake-no-prefill"}
_WITHOUT_FALLBACK = {"alone-503": "fake-503", "alone-429": "fake-429", "alone-cut": "fake-cut"}

RESCUED = tuple(each.removeprefix("fake-") for each in (*_ALWAYS, *_AT_TIMES, *_DURING_THE_ANSWER, "fake-context"))
"""Models whose provider fails and whose fallback answers: their turns must be whole."""
FAILING = (*_WITHOUT_FALLBACK, "filter")
"""Models that answer with a clean error."""
SCRIPT_FAULTS = tuple(f"script-{each.removeprefix('fake-')}" for each in _ALWAYS)
"""Models whose provider fails before it answers, and that fall back to `SCRIPT`."""
FAULT_CODES = frozenset(
    {"all_deployments_failed", "rate_limit_exceeded", "answer_interrupted", "content_policy_violation"}
)
"""What a turn on one of the `FAILING` may end with."""

SETTINGS: dict[str, Any] = {"allowed_fails": 1_000_000, "cooldown_time": 1}
"""Breakers open only for a refused key and for a rate limit with a time. Otherwise few turns would meet a fault."""


@dataclass(frozen=True, slots=True)
class Pace:
    """`first`: time to the first token; `gap`: time between two tokens; both in seconds.

    Eight words a second are three times as fast as speech. With twenty, 200 streams would need all of two cores.
    """

    first: float = 0.2
    gap: float = 0.125

    @property
    def timing(self) -> str:
        """The timing in the name of a fake model."""
        return f"first={self.first * 1000:g}ms&gap={self.gap * 1000:g}ms&tokens={TOKENS}"

    @property
    def seconds(self) -> float:
        """The time that an answer takes."""
        return self.first + self.gap * (TOKENS - 1)


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """What happens in one turn.

    mark: a name that no other turn has.
    hang_up_after: seconds; None if the caller reads the whole answer.
    """

    mark: str
    model: str = PLAIN
    hang_up_after: float | None = None

    @property
    def fails(self) -> bool:
        """Whether the turn ends with a clean error, because nothing can replace the provider."""
        return self.model in FAILING


def plan_turn(random: Random, mark: str, pace: Pace) -> TurnPlan:
    """Choose whether the caller hangs up or the provider fails."""
    chance = random.random()
    if chance < HANG_UPS:
        return TurnPlan(mark, hang_up_after=random.uniform(0.1, pace.seconds * 0.9))
    if chance < HANG_UPS + FAULTS:
        return TurnPlan(mark, random.choice((*RESCUED, *FAILING)))
    return TurnPlan(mark)


def models_file(provider_url: str, pace: Pace) -> dict[str, Any]:
    """Return models.yaml. The faults have different kinds of fallbacks."""
    entries: list[dict[str, Any]] = []
    fallbacks: list[dict[str, list[str]]] = []

    def add(name: str, behaviour: str) -> None:
        # fake-slow-first-token has a time to the first token of its own.
        timing = pace.timing.partition("&")[2] if behaviour == "fake-slow-first-token" else pace.timing
        params = {"model": f"openai/{behaviour}:{name}?{timing}", "api_base": provider_url, "api_key": "sk-soak"}
        info = {"supports_assistant_prefill": behaviour in _PREFILL}
        entries.append({"model_name": name, "litellm_params": params, "model_info": info})

    add(PLAIN, "fake-ok")
    entries.append({"model_name": SCRIPT, "litellm_params": {"model": f"fake/echo?{pace.timing}"}})
    for behaviour in _SPARES:
        add(f"spare-{behaviour}", behaviour)
    for number, behaviour in enumerate((*_ALWAYS, *_AT_TIMES, *_DURING_THE_ANSWER, *_PROMPT)):
        name = behaviour.removeprefix("fake-")
        add(name, behaviour)
        fallbacks.append({name: [f"spare-{_SPARES[number % len(_SPARES)]}"]})
    for name, behaviour in zip(SCRIPT_FAULTS, _ALWAYS, strict=True):
        add(name, behaviour)
        fallbacks.append({name: [SCRIPT]})
    for name, behaviour in _WITHOUT_FALLBACK.items():
        add(name, behaviour)
    return {"model_list": entries, "router_settings": {**SETTINGS, "fallbacks": fallbacks}}
