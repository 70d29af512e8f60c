"""Chooses the lane for each deployment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from config.models.deployments import Deployment
from router.lanes.base import Lane
from router.lanes.http_client import HttpClient
from router.lanes.litellm_lane import LiteLLMLane
from router.lanes.openai_lane import OpenAILane
from router.lanes.openai_request import is_openai_compatible

MAX_CACHED: Final = 1024

LaneName = Literal["fake", "openai", "litellm"]


class Lanes:
    """One lane of each kind, shared by all deployments of a process."""

    def __init__(self, fake: Lane, openai: Lane, litellm: Lane) -> None:
        self._lanes: dict[LaneName, Lane] = {"fake": fake, "openai": openai, "litellm": litellm}
        self._names: dict[Deployment, LaneName] = {}

    @classmethod
    def build(cls) -> Lanes:
        """Create the real lanes. Call it in the event loop that uses them, and `aclose` them at its end."""
        from router.fake.fake_lane import FakeLane

        litellm_lane = LiteLLMLane()
        return cls(FakeLane(), OpenAILane(HttpClient(), litellm=litellm_lane), litellm_lane)

    def for_deployment(self, deployment: Deployment) -> Lane:
        """The lane of `deployment`: the fake lane for `fake/...`, the OpenAI lane for OpenAI-compatible providers, else
        the LiteLLM lane. `model_info: {lane: openai | litellm}` overrides the choice between the last two.
        """
        name = self._names.get(deployment)
        if name is None:
            if len(self._names) >= MAX_CACHED:  # deployments of an older models.yaml, or of wildcards
                self._names.clear()
            name = self._names[deployment] = lane_name(deployment)
        return self._lanes[name]

    async def warm_up(self, deployments: Iterable[Deployment]) -> None:
        """Load what the first requests to `deployments` need."""
        by_lane: dict[LaneName, list[Deployment]] = {}
        for deployment in deployments:
            by_lane.setdefault(lane_name(deployment), []).append(deployment)
        for name, served in by_lane.items():
            await self._lanes[name].warm_up(served)

    async def aclose(self) -> None:
        """Close all connections to providers."""
        for lane in self._lanes.values():
            await lane.aclose()


def lane_name(deployment: Deployment) -> LaneName:
    """The name of the lane for `deployment`."""
    if deployment.model.startswith("fake/"):
        return "fake"
    forced = deployment.info.get("lane")
    if forced == "litellm" or forced == "openai":
        return "openai" if forced == "openai" else "litellm"
    return "openai" if is_openai_compatible(deployment) else "litellm"
