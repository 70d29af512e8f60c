"""The lane, with nothing but respx behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import respx
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

from router.lanes.litellm_lane import LiteLLMLane
from router.providers.litellm_import import litellm


@pytest.fixture
def provider() -> Iterator[respx.MockRouter]:
    """Every request, to whichever address, comes here; none leaves the process."""
    with respx.mock(assert_all_called=False) as router:
        yield router


@pytest.fixture
async def lane(provider: respx.MockRouter, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LiteLLMLane]:
    """A lane whose clients are httpx's: those of aiohttp, LiteLLM's default, do not pass by respx."""
    lane = LiteLLMLane()
    await lane.aclose()  # LiteLLM keeps clients, those of other tests among them
    monkeypatch.setattr(litellm, "disable_aiohttp_transport", True)
    monkeypatch.setattr(litellm, "module_level_aclient", AsyncHTTPHandler())
    yield lane
    await lane.aclose()
