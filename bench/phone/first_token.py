"""The time to first token of one caller on three wires, in turns that alternate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from time import perf_counter

import httpx

from bench.load import Target
from bench.phone.phone_call import PhoneCall, phone_call

MODEL = "fake-ok?tokens=8"
TURNS_OF_A_CALL = 10
WARM_UP = 20
QUERY = "Is my table booked for tonight?"


async def first_tokens(target: Target, turns: int) -> dict[str, list[float]]:
    """Seconds by wire."""
    times: dict[str, list[float]] = {"chat completions": [], "sessions": [], "phone relay": []}
    base, headers = f"http://{target.host}:{target.port}", {"Authorization": f"Bearer {target.token}"}
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=30) as http:
        for number in range((turns + WARM_UP) // TURNS_OF_A_CALL):
            async with phone_call(target, number, MODEL) as call:
                for _ in range(TURNS_OF_A_CALL):
                    times["chat completions"].append(await _over_http(http, "/v1/chat/completions", _stateless(target)))
                    body = {"user_id": "ada", "session_id": f"s{number}", "query": QUERY, "model": target.models[MODEL]}
                    times["sessions"].append(await _over_http(http, "/agent/invoke/stream", body))
                    times["phone relay"].append(await _on_the_phone(call))
    return {wire: seconds[WARM_UP:] for wire, seconds in times.items()}


def _stateless(target: Target) -> dict[str, object]:
    return {"model": target.models[MODEL], "stream": True, "messages": [{"role": "user", "content": QUERY}]}


async def _over_http(http: httpx.AsyncClient, path: str, body: dict[str, object]) -> float:
    """Reads the answer to its end."""
    start, first = perf_counter(), 0.0
    async with http.stream("POST", path, json=body) as response, aclosing(_lines(response)) as lines:
        async for line in lines:
            if not first and '"content":"' in line:
                first = perf_counter() - start
    return first


async def _lines(response: httpx.Response) -> AsyncIterator[str]:
    async for line in response.raise_for_status().aiter_lines():
        yield line


async def _on_the_phone(call: PhoneCall) -> float:
    start, first = await call.say(QUERY), 0.0
    while True:
        arrival, text = await call.next_text()
        if not first and text.token:
            first = arrival - start
        if text.last:
            return first
