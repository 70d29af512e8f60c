"""One turn as the router sees it."""

from __future__ import annotations

from dataclasses import dataclass, field

from config.models.deployments import Deployment, Registry
from router.router_state import RouterState
from router.turn_record import TurnRecord


@dataclass(slots=True)
class RoutedTurn:
    """`registry` is the snapshot that the turn began with; `deadline` is a time on the router's clock.

    `serving` is the deployment of the last complete step, and the model name that led to it. The turn stays on it.
    """

    router: RouterState
    registry: Registry
    model: str
    deadline: float
    record: TurnRecord
    serving: tuple[str, Deployment] | None = field(default=None, init=False)
    _hedged: bool = field(default=False, init=False)

    def may_hedge(self) -> bool:
        """Take the turn's only hedge, if the budget allows one."""
        if self._hedged or not self.router.hedges.spend(self.registry.settings.hedge_budget):
            return False
        self._hedged = True
        return True
