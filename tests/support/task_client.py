"""A client of `/agent/task*` for tests."""

from __future__ import annotations

from typing import Any

import httpx
import orjson

from tests.support.session_client import Json, SessionClient
from tests.support.session_rig import eventually

ENDED = ("interrupted", "completed", "error", "cancelled")


class TaskClient(SessionClient):
    """A client of one user."""

    def of(self, user_id: str) -> TaskClient:
        return TaskClient(self.http, user_id)

    async def submit(self, query: str, session_id: str | None = "s", **fields: Any) -> str:
        """Submit a message and return the id of its task."""
        return submitted(await self.post("invoke/async", query=query, session_id=session_id, **fields))

    async def answer(self, session_id: str = "s", **fields: Any) -> str:
        """Submit the answer to a review and return the id of its task."""
        return submitted(await self.post("resume/async", session_id=session_id, **fields))

    async def task(self, task_id: str) -> Json:
        return await self.get(f"task/{task_id}")

    async def tasks(self, **page: int) -> list[Json]:
        return list((await self.get(f"tasks/{self.user_id}", **page))["tasks"])

    async def has_status(self, task_id: str, *statuses: str, seconds: float = 20.0) -> Json:
        """Wait until the task has one of the statuses; return it."""

        async def reached() -> bool:
            return (await self.task(task_id))["status"] in statuses

        await eventually(reached, seconds)
        return await self.task(task_id)

    async def ended(self, task_id: str, seconds: float = 20.0) -> Json:
        return await self.has_status(task_id, *ENDED, seconds=seconds)

    async def cancel_task(self, task_id: str) -> Json:
        response = await self.http.delete(f"/agent/task/{task_id}")
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def events(self, task_id: str, after: int | str | None = None) -> list[tuple[int, Json]]:
        """Return number and content of all events, or of those after one; the task ends meanwhile."""
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        response = await self.http.get(f"/agent/task/{task_id}/events", headers=headers)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        return [parse_numbered(each) for each in response.text.split("\n\n") if each.startswith("id: ")]


def parse_numbered(event: str) -> tuple[int, Json]:
    number, data = event.split("\n")
    return int(number.removeprefix("id: ")), orjson.loads(data.removeprefix("data: "))


def submitted(response: httpx.Response) -> str:
    """Check the response to a submission; return the task's id."""
    assert response.status_code == 202, response.text
    answer: Json = response.json()
    assert set(answer) == {"task_id", "session_id"}
    assert response.headers["location"] == f"/agent/task/{answer['task_id']}"
    return str(answer["task_id"])
