"""The shipped demo: config/assistant.yaml with the fake model of models.yaml, without a key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.profile.agent_file import agent_path
from tests.support.serving import Served, fake, serving
from tests.support.session_client import SessionClient, said_in, types_of
from tests.support.session_rig import eventually

OUTCOMES = [
    ({"response_type": "accept"}, "已为您预订：如家。"),
    ({"response_type": "reject"}, "好的，没有预订。"),
    ({"response_type": "edit", "args": {"hotel_name": "全季酒店(软件园店)"}}, "已为您预订：全季酒店(软件园店)。"),
]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, fake(model="fake/assistant"), agent_file=agent_path(Path("assistant"))) as served:
        yield served


async def weather_is_connected(client: SessionClient) -> bool:
    health = (await client.http.get("/health")).json()
    return bool(health["mcp_servers"]["weather"]["state"] == "connected")


async def test_the_demo_plays_from_beginning_to_end(client: SessionClient) -> None:
    for number, (answer, told) in enumerate(OUTCOMES):
        asked = await client.invoke("预订如家", f"s{number}")
        assert asked["interrupt_data"]["action_request"] == {"action": "book_hotel", "args": {"hotel_name": "如家"}}
        assert said_in(await client.resume(f"s{number}", **answer)) == told
    await client.invoke("汉庭", "renamed")
    again = await client.resume("renamed", response_type="response", args="把酒店名称换为：汉庭酒店(软件园店)")
    assert again["interrupt_data"]["action_request"]["args"] == {"hotel_name": "汉庭酒店(软件园店)"}
    assert said_in(await client.resume("renamed", response_type="accept")) == "已为您预订：汉庭酒店(软件园店)。"
    assert said_in(await client.invoke("What is 6 x 7?", "numbers")) == "The result is 42."
    await eventually(lambda: weather_is_connected(client))
    events = await client.stream("invoke", "weather", query="上海天气如何？")
    assert types_of(events) == ["tool_call", "text_chunk", "completed"]
    assert said_in(events[-1]["data"]).startswith("上海：")
    assert said_in(await client.invoke("记住我喜欢喝茶", "first")) == "好的，我记住了。"
    assert said_in(await client.invoke("你记得我什么？", "second")) == "我记得：我喜欢喝茶"
    await client.post("write/longterm", memory_info="Has a cat.")
    assert said_in(await client.invoke("What do you know about me?", "third")) == "I remember: Has a cat.; 我喜欢喝茶"
