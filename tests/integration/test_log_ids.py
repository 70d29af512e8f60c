"""Every JSON line within a request names it, and its session, turn, task and trace where there are such."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.support.server_process import ServerProcess, client_of_process, running, server_in
from tests.support.serving import fake
from tests.support.task_client import TaskClient

TRACE = "0af7651916cd43dd8448eb211c80319c"
HEADERS = {"x-request-id": "call-7", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
FAILING = "/fail 503"
"""A turn whose attempts leave lines of their own."""


async def lines(server: ServerProcess, *, until: str) -> list[dict[str, Any]]:
    """The lines of the log, once there is one with this event."""
    async with asyncio.timeout(10):
        while True:
            found = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
            if any(each["event"] == until for each in found):
                return found
            await asyncio.sleep(0.02)


async def test_json_lines_carry_the_ids_of_what_they_belong_to(tmp_path: Path) -> None:
    models = [fake(), fake("other")]
    server = server_in(tmp_path / "server", *models, agent={"tools": ["multiply"]}, log_json="true")
    async with running(server), client_of_process(server) as client:
        client.http.headers.update(HEADERS)
        body = {"model": "fake", "messages": [{"role": "user", "content": FAILING}]}
        assert (await client.http.post("/v1/chat/completions", json=body)).status_code == 503
        openai = await lines(server, until="turn")
        assert {"attempt_failed", "turn"} <= of_request(openai, "call-7", trace_id=TRACE)

        client.http.headers["x-request-id"] = "call-8"
        await client.invoke(FAILING, "s")
        client.http.headers["x-request-id"] = "call-9"
        tasks = TaskClient(client.http)
        task_id = await tasks.submit(FAILING, "t")
        await tasks.ended(task_id)
        found = await lines(server, until="task")
    assert {"attempt_failed", "turn"} <= of_request(found, "call-8", trace_id=TRACE, session_id="s")
    of_task = of_request(found, "call-9", trace_id=TRACE, session_id="t", task_id=task_id)
    assert {"attempt_failed", "turn", "task"} <= of_task
    of_turns = [each for each in found if each["event"] in ("attempt_failed", "turn", "task")]
    assert all("request_id" in each for each in of_turns)


def of_request(found: list[dict[str, Any]], request_id: str, **ids: str) -> set[str]:
    """The events of the lines of this request. Each has the `ids`, and those of a turn all have its id."""
    own = [each for each in found if each.get("request_id") == request_id]
    assert all(ids.items() <= each.items() for each in own), own
    assert len({each["turn_id"] for each in own if "turn_id" in each}) == 1
    assert all("turn_id" in each for each in own if each["event"] in ("turn", "attempt_failed"))
    return {each["event"] for each in own}
