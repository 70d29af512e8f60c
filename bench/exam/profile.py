"""How patient the server is in an exam: as by default, or so much less that it can be part of every test run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from config.models.deployments import RouterSettings, Timeouts


@dataclass(frozen=True, slots=True)
class Profile:
    """`slack` is what any answer may take beside its timeouts, in seconds; `parallel` scenarios run at once."""

    name: str
    settings: RouterSettings
    slack: float = 1.0
    parallel: int = 4

    @property
    def timeouts(self) -> Timeouts:
        return self.settings.timeouts

    @property
    def rest(self) -> float:
        """Seconds that a deployment rests once its breaker has opened."""
        return self.settings.cooldown_time

    def router_settings(self) -> dict[str, Any]:
        """What differs from the defaults, for models.yaml."""
        timeouts, usual = self.settings.timeouts, RouterSettings()
        wanted = {name: getattr(timeouts, name) for name in Timeouts.__slots__}
        wanted["cooldown_time"] = self.settings.cooldown_time
        known = {name: getattr(usual.timeouts, name) for name in Timeouts.__slots__} | {
            "cooldown_time": usual.cooldown_time
        }
        return {name: value for name, value in wanted.items() if value != known[name]}


NORMAL = Profile("normal", RouterSettings())
FAST = Profile(
    "fast",
    RouterSettings(
        timeouts=Timeouts(turn_deadline=4.0, first_token_timeout=0.5, stall_timeout=0.5),
        cooldown_time=1.0,
    ),
    parallel=8,
)
