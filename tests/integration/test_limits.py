"""Requests that would hold the server's event loop or its memory."""

from __future__ import annotations

import time
from pathlib import Path

import httpx

from tests.support.serving import serving


async def test_many_tools_are_refused_at_once(tmp_path: Path) -> None:
    functions = [{"name": f"f{number}"} for number in range(60_000)]
    body = {"messages": [{"role": "user", "content": "Hi"}], "functions": functions}
    async with serving(tmp_path) as server, httpx.AsyncClient(base_url=server.url, headers=server.headers) as http:
        began = time.perf_counter()
        response = await http.post("/v1/chat/completions", json=body, timeout=60)
        assert response.status_code == 400, response.text
        assert "at most 128 tools, not 60000" in response.json()["error"]["message"]
        assert response.json()["error"]["param"] == "functions"
        assert time.perf_counter() - began < 5
