"""Records the attempts of a turn, for response headers, logs, metrics and spans. Holds no content and no keys."""

from __future__ import annotations

from dataclasses import dataclass, field

from config.errors import SwitchboardError


@dataclass(slots=True)
class AttemptRecord:
    """One attempt. `outcome` is "ok", "cancelled" or an error code; times are in seconds. It `began` at that
    time of the router's clock.

    The tokens are those that the provider reports, or an estimate if it answered and reports none. `cost` is what they
    cost in US dollars, once the attempt is over: 0 if the provider said nothing, None if no price is known.
    `model` is the model name that led to the deployment: the requested one, or that of a fallback. `hedge`: it was
    started because another one was late. `continues`: it was asked to go on with an answer that broke off.
    `system_fingerprint` and `service_tier` are OpenAI's, as the provider sends them.

    `provider_model` is LiteLLM's name of the provider and its model, `server` the host and port of the deployment's
    `api_base`. `answered_as` and `finish_reason` are what the provider says of its answer. `status` (HTTP) and `reason`
    say why the attempt failed, in our words. `step` is the number of the turn's model call that it belongs to.
    """

    model: str
    deployment: str
    provider_model: str = ""
    server: str | None = None
    step: int = 1
    hedge: bool = False
    continues: bool = False
    outcome: str = "cancelled"
    began: float = 0.0
    seconds: float = 0.0
    first_token: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    answered_as: str | None = None
    finish_reason: str | None = None
    status: int | None = None
    reason: str = ""

    def failed(self, error: SwitchboardError) -> None:
        """Note why the attempt failed. The text of the provider stays out."""
        self.outcome, self.reason, self.status = error.code, str(error), getattr(error, "status", None)


@dataclass(slots=True)
class TurnRecord:
    """`asked` is the requested model name; `served_model` and `served_deployment` belong to the last attempt that sent
    a token. `provider_seconds` is the time spent waiting for providers; the rest of a turn's time is our own.
    `model_calls` counts the model calls so far.
    """

    asked: str
    attempts: list[AttemptRecord] = field(default_factory=list)
    served_model: str | None = None
    served_deployment: str | None = None
    provider_seconds: float = 0.0
    model_calls: int = 0

    @property
    def first_token(self) -> float | None:
        """Seconds to the first token, measured in the first attempt that had one."""
        return next((each.first_token for each in self.attempts if each.first_token is not None), None)

    @property
    def cost(self) -> float | None:
        """The cost of all attempts in US dollars; None if that of one is not known."""
        costs = [each.cost for each in self.attempts]
        return None if None in costs else float(sum(each for each in costs if each is not None))

    @property
    def hedged(self) -> bool:
        """Whether two attempts raced for the first token."""
        return any(each.hedge for each in self.attempts)

    @property
    def spliced(self) -> bool:
        """Whether another attempt went on with an answer that had broken off."""
        return any(each.continues and each.first_token is not None for each in self.attempts)

    @property
    def provider_fields(self) -> dict[str, str]:
        """OpenAI's `system_fingerprint` and `service_tier`, if a single deployment served the turn and sent them."""
        served = [each for each in self.attempts if each.first_token is not None]
        if len({each.deployment for each in served}) != 1:
            return {}
        fields = {"system_fingerprint": served[-1].system_fingerprint, "service_tier": served[-1].service_tier}
        return {name: value for name, value in fields.items() if value is not None}

    @property
    def model(self) -> str:
        """The `model` field of the answer: the model that served it, or the requested one before the first token."""
        return self.served_model or self.asked
