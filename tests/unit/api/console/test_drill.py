"""Every drill survives its fault, and tells how."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from api.console import encode
from api.console.drill import FAULTS, drill
from api.http.errors import InvalidBody
from config.profile.agent_file import AgentProfile

QUICK = ["503", "429", "401", "reset", "cut", "html", "empty"]


@pytest.mark.parametrize("fault", QUICK)
async def test_the_caller_gets_the_whole_answer(fault: str) -> None:
    events = await _run(fault)
    text = "".join(each["chunk"] for each in events if each["type"] == "content")
    assert len(text.split()) == 40
    assert [each["type"] for each in events].count("continued") == (fault == "cut")
    end = events[-1]
    assert (end["type"], end["deployment"], end["finish_reason"]) == ("complete", "healthy", "stop")
    failed, served = end["attempts"]
    assert (failed["deployment"], failed["outcome"] == "ok", served["outcome"]) == ("faulty", False, "ok")
    assert served["continues"] == (fault == "cut")
    assert served["began_ms"] >= failed["began_ms"] + failed["ms"] - 1
    assert end["first_token_ms"] <= end["ms"]


async def test_a_fault_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidBody, match="must be one of 503"):
        drill("fire", _PROFILE)


def test_the_quick_ones_are_all_but_those_that_wait() -> None:
    assert {*FAULTS} - {*QUICK} == {"silent", "stall"}


_PROFILE = AgentProfile(system_prompt="Be kind.")


async def _run(fault: str) -> list[dict[str, Any]]:
    service, request = drill(fault, _PROFILE)
    turn = service.begin(request)
    frames = [each async for each in encode.sse(turn, service.run(turn))]
    return [orjson.loads(each.removeprefix(b"data: ")) for each in frames]
