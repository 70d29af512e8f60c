"""Files, turns, personas, memories and reviews with which the console's pages have something to show."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import httpx

from tests.support.serving import fake

PRICES: Final = {"input_cost_per_token": 0.0000004, "output_cost_per_token": 0.0000016}

PREFILL: Final = {"supports_assistant_prefill": True}

MODELS: Final[tuple[dict[str, Any], ...]] = (
    {**fake("assistant", "fake/echo?first=120ms&gap=15ms", **PRICES, rpm=600, tpm=90_000), "model_info": PREFILL},
    {**fake("assistant", "fake/echo?first=60ms&gap=12ms", **PRICES, rpm=300), "model_info": PREFILL},
    fake("hotel", "fake/assistant?first=90ms&gap=15ms", **PRICES),
    fake("shaky", "fake/503"),
    fake("breaks-off", "fake/cut?gap=10ms"),
    fake("slow", "fake/echo?first=300ms&gap=120ms", **PRICES),
    fake("客服-كبير-模型", "fake/echo?gap=5ms", **PRICES),
    {"model_name": "gpt", "litellm_params": {"model": "openai/gpt-4.1-mini", "api_key": "os.environ/OPENAI_API_KEY"}},
)

ROUTER: Final = {
    "num_retries": 0,
    "cooldown_time": 600,
    "fallbacks": [{"shaky": ["assistant"]}, {"breaks-off": ["assistant"]}],
    "model_group_alias": {"gpt-4o": "assistant"},
}

AGENT: Final = {
    "system_prompt": "You answer the phone of a hotel.",
    "tools": ["multiply", "book_hotel", "transferCall", "endCall"],
    "review": ["book_hotel"],
    "memory": {"long_term": True},
    "phone": {"greeting": "Hello! How can I help you?"},
}

MARKDOWN: Final = """\
/say ## Three rooms are free
/say\x20
/say | Room | Beds | Price |
/say | --- | --- | --- |
/say | **Garden** | 2 | 140 |
/say | **Tower** | 1 | 95 |
/say\x20
/say 1. Breakfast is *included*.
/say 2. Late check-out costs `20`.
"""

PERSONAS: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "chef",
        "context": "You are a chef for Mediterranean food. You like short recipes and long lunches.",
        "first_message": "What can I cook for you?",
        "instructions": "Use at most ten ingredients.",
        "response_shape": "",
    },
    {
        "name": "小美 (the night porter with a name that does not fit into any column)",
        "context": "You are a night porter.",
        "first_message": "",
        "instructions": "",
        "response_shape": "",
        "max_turns": 3,
    },
)

MEMORIES: Final = (
    "Prefers a quiet room on the garden side.",
    "Is allergic to peanuts.",
    "对海鲜过敏，喜欢靠窗的座位。",
    "Arrives late, usually by the last train, and wants the front desk to know about that beforehand.",
)


async def bring_to_life(http: httpx.AsyncClient, user: str = "ada") -> None:
    """Run turns, store personas, memories and sessions of `user`, and leave one review pending."""
    for model in ("assistant", "shaky", "breaks-off", "客服-كبير-模型", "assistant", "gpt-4o"):
        await _complete(http, model, "Is there a room for two nights?" if model != "breaks-off" else "/tokens 40")
    await _complete(http, "assistant", "/fail 400")
    for each in PERSONAS:
        agent = (await http.post("/agents/create-agent", json=each)).raise_for_status().json()
        conversation = (await http.post("/agents/create-conversation", json={"agent_id": agent["id"]})).json()
        body = {"conversation_id": conversation["id"], "message": "I am allergic to peanuts. What do you suggest?"}
        (await http.post("/agents/chat-agent", json=body)).raise_for_status()
    for memory in MEMORIES:
        (await http.post("/agent/write/longterm", json={"user_id": user, "memory_info": memory})).raise_for_status()
    await _say(http, user, "morning", MARKDOWN)
    await _say(http, user, "sums", '/say Let me see.\n/call multiply {"a": 6, "b": 7}\n/then\n/say It is forty-two.')
    await _say(http, user, "booking", "Book a room at the Ritz", model="hotel")
    for query in ('/say Let me see.\n/call multiply {"a": 6, "b": 7}\n/then\n/say It is forty-two.', "/fail 400"):
        body = {"user_id": user, "session_id": "night", "query": query}
        (await http.post("/agent/invoke/async", json=body)).raise_for_status()


async def _complete(http: httpx.AsyncClient, model: str, text: str) -> None:
    await http.post("/v1/chat/completions", json={"model": model, "messages": [{"role": "user", "content": text}]})


async def _say(http: httpx.AsyncClient, user: str, session: str, query: str, model: str | None = None) -> None:
    body = {"user_id": user, "session_id": session, "query": query, "model": model}
    (await http.post("/agent/invoke", json=body)).raise_for_status()


async def stored_statistics(http: httpx.AsyncClient) -> None:
    """Wait until the statistics have what was counted."""
    async with asyncio.timeout(30):
        while not (await http.get("/stats")).json()["turns"]:
            await asyncio.sleep(0.05)
