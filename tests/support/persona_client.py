"""A client of `/agents/*` for tests."""

from __future__ import annotations

from typing import Any

import httpx
import orjson

from tests.support.session_client import assert_error

Json = dict[str, Any]

CHEF: Json = {
    "context": "You are a chef specializing in Mediterranean food.",
    "first_message": "Hello, I am your personal chef. What can I do for you today?",
    "response_shape": "",
    "instructions": "",
}


class PersonaClient:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def create(self, **fields: Any) -> Json:
        """Create an agent: the chef, with other `fields`."""
        return await self.post("create-agent", **(CHEF | fields))

    async def converse(self, **fields: Any) -> str:
        """Create an agent and a conversation; return the conversation's id."""
        agent = await self.create(**fields)
        return str((await self.post("create-conversation", agent_id=agent["id"]))["id"])

    async def chat(self, conversation_id: str, message: str) -> str:
        answer = await self.post("chat-agent", conversation_id=conversation_id, message=message)
        assert answer.keys() == {"conversation_id", "response"} and answer["conversation_id"] == conversation_id
        return str(answer["response"])

    async def messages(self, conversation_id: str, **page: int) -> list[tuple[str, str]]:
        found = await self.get("get-messages", conversation_id=conversation_id, **page)
        return [(each["user_message"], each["agent_message"]) for each in found]

    async def post(self, path: str, **body: Any) -> Json:
        response = await self.http.post(f"/agents/{path}", json=body)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def get(self, path: str, **query: Any) -> Any:
        response = await self.http.get(f"/agents/{path}", params=query)
        assert response.status_code == 200, response.text
        return response.json()

    async def stream(self, conversation_id: str, message: str) -> list[Json]:
        """Chat; return the events of the stream."""
        body = {"conversation_id": conversation_id, "message": message}
        response = await self.http.post("/agents/chat-agent/stream", json=body)
        assert response.status_code == 200, response.text
        lines = [each for each in response.text.split("\n\n") if each and not each.startswith(":")]
        assert all(each.startswith("data: ") and "\n" not in each for each in lines)
        return [orjson.loads(each[6:]) for each in lines]

    async def refused(self, status: int, code: str, method: str, path: str, says: str = "", **body: Any) -> Any:
        """Check that a call is refused; return the `param` of its error."""
        response = await self.http.request(method, f"/agents/{path}", json=body or None)
        return assert_error(response, status, code, says)["param"]
