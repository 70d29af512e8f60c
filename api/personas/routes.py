"""`/agents/*`: personas, which are stored agents with conversations of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from agent.personas.checks import model_problem
from agent.personas.persona import Persona
from agent.personas.service import PersonaService
from agent.personas.turn import PersonaTurn
from agent.tools.choice import choice_problem
from agent.turns import TurnService
from api.chat import encode as chat
from api.http.admission import admit, count_request
from api.http.auth import authenticate
from api.http.body import read_body, request_body
from api.http.caller_scope import owner
from api.http.errors import InvalidBody, NotYours
from api.http.sse import EventStream, cancel_on_disconnect
from api.personas import encode
from api.personas.wire import ChatAgentBody, CreateAgentBody, CreateConversationBody, UpdateAgentBody
from config.settings import Settings

GREETING = "Hello there conversational ai!"

routes = APIRouter(prefix="/agents", tags=["agents"], dependencies=[Depends(authenticate)])

Limit = Annotated[int | None, Query(ge=1, le=1_000_000)]
Offset = Annotated[int, Query(ge=0, le=1_000_000_000)]


@routes.get("/", summary="A greeting")
async def greeting() -> dict[str, str]:
    """Says that the agents are there."""
    return {"message": GREETING}


@routes.post("/create-agent", summary="Create an agent", openapi_extra=request_body(CreateAgentBody))
async def create_agent(request: Request) -> dict[str, Any]:
    """The agent with its id."""
    body = await read_body(request, CreateAgentBody)
    fields = body.fields
    _check(request, fields.model, fields.tools)
    return encode.agent(await _personas(request).store.create(fields, owner(request)))


@routes.get("/get-agents", summary="The agents, oldest first")
async def get_agents(request: Request, limit: Limit = None, offset: Offset = 0) -> list[dict[str, Any]]:
    """All of them without `limit`, each with its newest 100 conversations."""
    return await _with_conversations(request, await _personas(request).store.list(limit, offset))


@routes.post("/create-conversation", summary="Begin a conversation", openapi_extra=request_body(CreateConversationBody))
async def create_conversation(request: Request) -> dict[str, str]:
    """404 if there is no such agent."""
    body = await read_body(request, CreateConversationBody)
    return encode.conversation(await _personas(request).conversations.create(body.agent_id, owner(request)))


@routes.get("/get-conversations", summary="The agent's conversations, oldest first")
async def get_conversations(
    request: Request, agent_id: str, limit: Limit = None, offset: Offset = 0
) -> list[dict[str, str]]:
    """All of them without `limit`."""
    found = await _personas(request).conversations.list(agent_id, limit, offset, owner(request))
    return [encode.conversation(each) for each in found]


@routes.get("/get-messages", summary="The conversation's messages, oldest first")
async def get_messages(
    request: Request, conversation_id: str, limit: Limit = None, offset: Offset = 0
) -> list[dict[str, str]]:
    """All of them without `limit`. Each has the user's message and the agent's answer."""
    found = await _personas(request).conversations.messages(conversation_id, limit, offset, owner(request))
    return [encode.message(each) for each in found]


@routes.post("/chat-agent", summary="Send a message", openapi_extra=request_body(ChatAgentBody))
async def chat_agent(request: Request) -> Response:
    """The agent's whole answer. `x-switchboard-shape` says whether it fits the agent's `response_shape`."""
    turn = await _begin(request)
    whole = await cancel_on_disconnect(request, chat.answer(turn.events()))
    del whole["usage"]
    answer = {"conversation_id": turn.conversation_id, **whole}
    return Response(orjson.dumps(answer), headers=encode.headers(turn), media_type="application/json")


@routes.post(
    "/chat-agent/stream",
    summary="Send a message, answered as a stream",
    openapi_extra=request_body(ChatAgentBody),
    status_code=200,
    response_class=EventStream,
)
async def chat_agent_stream(request: Request) -> Response:
    """Server-sent events: each `data:` line is a JSON object with a `type`."""
    turn = await _begin(request)
    settings: Settings = request.state.settings
    turns: TurnService = request.state.turns
    return EventStream(
        chat.sse(turn.events(), turns.profile.chat.start_message, lambda: encode.shape(turn)),
        get_headers=dict,
        encode_error=chat.error_line,
        keep_alive=settings.keep_alive_interval,
    )


@routes.patch("/{agent_id}", summary="Change an agent", openapi_extra=request_body(UpdateAgentBody))
async def update_agent(request: Request, agent_id: str) -> dict[str, Any]:
    """Only the fields that are sent change. Answers from now on follow them, also in older conversations."""
    changes = (await read_body(request, UpdateAgentBody)).changes
    _check(request, changes.get("model"), changes.get("tools"))
    await _require_own(request, agent_id)
    changed = await _personas(request).store.update(agent_id, changes)
    return (await _with_conversations(request, [changed]))[0]


@routes.delete("/{agent_id}", summary="Delete an agent")
async def delete_agent(request: Request, agent_id: str, cascade: bool = False) -> dict[str, bool]:
    """409 if it has conversations, unless `cascade` deletes them too. Only the operator deletes those of others."""
    await _require_own(request, agent_id)
    await _personas(request).store.delete(agent_id, cascade=cascade, owner=owner(request))
    return {"success": True}


@routes.delete("/conversations/{conversation_id}", summary="Delete a conversation and its messages")
async def delete_conversation(request: Request, conversation_id: str) -> dict[str, bool]:
    """404 if there is no such conversation."""
    await _personas(request).conversations.delete(conversation_id, owner(request))
    return {"success": True}


async def _with_conversations(request: Request, personas: Sequence[Persona]) -> list[dict[str, Any]]:
    newest = await _personas(request).conversations.newest([each.id for each in personas], owner(request))
    return [encode.agent(each, newest[each.id]) for each in personas]


async def _begin(request: Request) -> PersonaTurn:
    """The turn that the request asks for; the request is counted in the statistics."""
    caller = count_request(request)
    body = await read_body(request, ChatAgentBody)
    await admit(request)
    return await _personas(request).begin(body.conversation_id, body.message, caller)


async def _require_own(request: Request, agent_id: str) -> None:
    """Raise NotYours if the caller sees only what it made, and the agent is another's. Agents are for everybody."""
    mine = owner(request)
    if mine is not None and (await _personas(request).store.get(agent_id)).owner != mine:
        raise NotYours("Another caller made this agent: you can use it, but not change or delete it.")


def _check(request: Request, model: str | None, tools: tuple[str, ...] | None) -> None:
    """Raises InvalidBody if the server has no such model or tool, ModelNotFound if the caller may not use the model."""
    turns: TurnService = request.state.turns
    if model is not None:
        if problem := model_problem(model, turns.router.registry.current):
            raise InvalidBody(f"model: {problem}.", param="model")
        turns.allow(request.state.caller, model)
    if tools is not None and (problem := choice_problem(tools, turns.profile)):
        raise InvalidBody(f"tools: {problem}.", param="tools")


def _personas(request: Request) -> PersonaService:
    personas: PersonaService = request.state.personas
    return personas
