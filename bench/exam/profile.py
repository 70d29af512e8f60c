"""The timeouts of the server in an exam: the defaults, or short ones for every test run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from config.models.deployments import RouterSettings, Timeouts


@dataclass(frozen=True, slots=True)
class ExamProfile:
    """`slack`: seconds that an answer may take beyond its timeouts. `parallel`: number of concurrent scenarios."""

    name: str
    settings: RouterSettings
    slack: float = 1.0
    parallel: int = 4

    @property
    def timeouts(self) -> Timeouts:
        return self.settings.timeouts

    @property
    def cooldown(self) -> float:
        """Seconds for which an open circuit breaker keeps a deployment out."""
        return self.settings.cooldown_time

    def router_settings(self) -> dict[str, Any]:
        """Return the settings that differ from the defaults, for models.yaml."""
        defaults, own = (_timeouts(settings) for settings in (RouterSettings(), self.settings))
        return {name: value for name, value in own.items() if value != defaults[name]}


def _timeouts(settings: RouterSettings) -> dict[str, Any]:
    limits = {name: getattr(settings.timeouts, name) for name in Timeouts.__slots__}
    return {**limits, "cooldown_time": settings.cooldown_time}


NORMAL = ExamProfile("normal", RouterSettings())
FAST = ExamProfile(
    "fast",
    RouterSettings(
        timeouts=Timeouts(turn_deadline=4.0, first_token_timeout=0.5, stall_timeout=0.5),
        cooldown_time=1.0,
    ),
    parallel=8,
)
