"""A turn whose first deployment fails on purpose, to show that the caller does not notice.

It runs on a router of its own, with the fake model: no provider is asked, and no breaker or statistic changes.
"""

from __future__ import annotations

from typing import Final

from langchain_core.messages import HumanMessage

from agent.turn_request import TurnRequest
from agent.turns import TurnService
from api.http.errors import InvalidBody
from config.models.deployments import Deployment, Registry, RouterSettings, Timeouts
from config.profile.agent_file import AgentProfile
from router.failover import FailoverRouter
from router.fake.fake_lane import FakeLane
from router.health.breakers import Breakers
from router.health.rate_limits import RateLimits
from router.registry import LiveRegistry

FAULTS: Final = {
    "503": "The provider answers 503",
    "429": "The provider's rate limit is reached",
    "401": "The provider refuses the key",
    "reset": "The connection breaks before the answer",
    "silent": "The provider never answers",
    "cut": "The answer breaks off in mid-sentence",
    "stall": "The answer goes silent in mid-sentence",
    "html": "The provider answers with a web page",
    "empty": "The answer is empty",
}
"""Kinds of failures of the fake model, and their titles."""

TIMEOUTS: Final = Timeouts(first_token_timeout=1.0, stall_timeout=1.0)
"""Short, so that a drill takes a second or two."""

SCRIPT: Final = "/tokens 40"


class _FakeLanes:
    """The fake model, whatever is asked for."""

    def for_deployment(self, _: Deployment) -> FakeLane:
        return FakeLane()


def drill(fault: str, profile: AgentProfile) -> tuple[TurnService, TurnRequest]:
    """The service and the request of a turn whose first deployment has `fault`.

    Raises:
        InvalidBody: there is no such fault.
    """
    if fault not in FAULTS:
        raise InvalidBody(f"fault: must be one of {', '.join(FAULTS)}.", param="fault")
    timing = "?gap=30ms"
    deployments = (
        Deployment("faulty", "drill", f"fake/{fault}{timing}", timeouts=TIMEOUTS),
        Deployment(
            "healthy", "standby", f"fake/echo{timing}", timeouts=TIMEOUTS, info={"supports_assistant_prefill": True}
        ),
    )
    registry = LiveRegistry(Registry(deployments, RouterSettings(fallbacks={"drill": ("standby",)}, num_retries=0)))
    router = FailoverRouter(registry, _FakeLanes(), Breakers(lambda: registry.current.settings), RateLimits())
    return TurnService(router, profile), TurnRequest(model="drill", messages=[HumanMessage(SCRIPT)])
