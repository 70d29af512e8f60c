"""Which lane carries a deployment's requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from config.models.deployments import Deployment
from router.lanes.base import Lane
from router.lanes.litellm_lane import LiteLLMLane
from router.lanes.openai_lane import OpenAILane, build_http_client
from router.lanes.openai_request import speaks_openai_wire

MAX_REMEMBERED: Final = 1024

LaneName = Literal["fake", "openai", "litellm"]


class Lanes:
    """One lane of each kind, shared by all deployments of a process."""

    def __init__(self, fake: Lane, openai: Lane, litellm: Lane) -> None:
        self._lanes: dict[LaneName, Lane] = {"fake": fake, "openai": openai, "litellm": litellm}
        self._names: dict[Deployment, LaneName] = {}

    @classmethod
    def build(cls) -> Lanes:
        """The real lanes. Call it inside the event loop that will use them, and `aclose` them at its end."""
        from router.fake.fake_lane import FakeLane

        over_litellm = LiteLLMLane()
        return cls(FakeLane(), OpenAILane(build_http_client(), otherwise=over_litellm), over_litellm)

    def for_deployment(self, deployment: Deployment) -> Lane:
        """The lane of `deployment`: the fake one for `fake/...`, the direct one for providers that speak OpenAI's wire,
        else LiteLLM's. `model_info: {lane: openai | litellm}` overrides the choice between the last two."""
        name = self._names.get(deployment)
        if name is None:
            if len(self._names) >= MAX_REMEMBERED:  # deployments of an older models.yaml, or filled-in wildcards
                self._names.clear()
            name = self._names[deployment] = lane_name(deployment)
        return self._lanes[name]

    async def warm_up(self, deployments: Iterable[Deployment]) -> None:
        """Do what the first requests to `deployments` would otherwise wait for."""
        by_lane: dict[LaneName, list[Deployment]] = {}
        for deployment in deployments:
            by_lane.setdefault(lane_name(deployment), []).append(deployment)
        for name, reached in by_lane.items():
            await self._lanes[name].warm_up(reached)

    async def aclose(self) -> None:
        """Close every connection to a provider."""
        for lane in self._lanes.values():
            await lane.aclose()


def lane_name(deployment: Deployment) -> LaneName:
    """The lane that fits `deployment`."""
    if deployment.model.startswith("fake/"):
        return "fake"
    forced = deployment.info.get("lane")
    if forced == "litellm" or forced == "openai":
        return "openai" if forced == "openai" else "litellm"
    return "openai" if speaks_openai_wire(deployment) else "litellm"
