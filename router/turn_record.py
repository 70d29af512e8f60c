"""What a turn went through, for the headers, the log line and the statistics. It holds no content and no keys."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class AttemptRecord:
    """One exchange: `outcome` is "ok", "cancelled" or the error's code; times are in seconds, `cost` is in US dollars.

    `model` is the name that led to the deployment: the one the caller asked for, or a fallback's.
    """

    model: str
    deployment: str
    outcome: str = "cancelled"
    seconds: float = 0.0
    first_token: float | None = None
    cost: float | None = None


@dataclass(slots=True)
class TurnRecord:
    """`asked` is the model's name as the caller gave it; the served pair is that of the newest attempt that sent a
    token.

    `provider_seconds` is the time spent waiting for providers, so what is left of a turn's time is this service's own.
    """

    asked: str
    attempts: list[AttemptRecord] = field(default_factory=list)
    served_model: str | None = None
    served_deployment: str | None = None
    provider_seconds: float = 0.0

    @property
    def first_token(self) -> float | None:
        """Seconds from sending to the first token of the first attempt that had one."""
        return next((each.first_token for each in self.attempts if each.first_token is not None), None)

    @property
    def cost(self) -> float | None:
        """US dollars for the attempts that told their usage; None when none of them has a price."""
        costs = [each.cost for each in self.attempts if each.cost is not None]
        return sum(costs) if costs else None

    @property
    def model(self) -> str:
        """What the answer's `model` field names: the one that served; before a token has come, the one that was
        asked for.
        """
        return self.served_model or self.asked
