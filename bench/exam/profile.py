"""How patient the server is in an exam: as by default, or so much less that it can be part of every test run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from config.models.deployments import Limits, RouterSettings


@dataclass(frozen=True, slots=True)
class Profile:
    """`slack` is what any answer may take beside its timeouts, in seconds; `parallel` scenarios run at once."""

    name: str
    settings: RouterSettings
    slack: float = 1.0
    parallel: int = 4

    @property
    def limits(self) -> Limits:
        return self.settings.limits

    @property
    def rest(self) -> float:
        """Seconds that a deployment rests once its breaker has opened."""
        return self.settings.cooldown_time

    def router_settings(self) -> dict[str, Any]:
        """What differs from the defaults, for models.yaml."""
        limits, usual = self.settings.limits, RouterSettings()
        wanted = {name: getattr(limits, name) for name in Limits.__slots__}
        wanted["cooldown_time"] = self.settings.cooldown_time
        known = {name: getattr(usual.limits, name) for name in Limits.__slots__} | {
            "cooldown_time": usual.cooldown_time
        }
        return {name: value for name, value in wanted.items() if value != known[name]}


NORMAL = Profile("normal", RouterSettings())
FAST = Profile(
    "fast",
    RouterSettings(
        limits=Limits(turn_deadline=4.0, first_token_timeout=0.5, stall_timeout=0.5),
        cooldown_time=1.0,
    ),
    parallel=8,
)
