"""What the console's page calls beside the APIs that everybody has."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict

from agent.personas.service import PersonaService
from agent.turn_request import TurnRequest
from agent.turns import TurnService
from api.console import encode
from api.console.drill import FAULTS, drill
from api.console.models_file import ModelsFile
from api.http.admission import admit, count_request
from api.http.auth import authenticate, authenticate_operator, authenticated_caller
from api.http.body import read_body
from api.http.sse import EventStream
from api.http.turn_response import prepared
from api.openai.wire import ChatCompletionRequest
from config.errors import RequestError
from config.models.schema import models_schema
from config.settings import Settings

# The page's own API: it changes with the page, so that it is not described.
routes = APIRouter(prefix="/console", include_in_schema=False, dependencies=[Depends(authenticate)])

OPERATOR = [Depends(authenticate_operator)]


class DrillBody(BaseModel):
    """Which fault the first deployment has."""

    model_config = ConfigDict(extra="forbid")

    fault: str


class EditedText(BaseModel):
    """An edited text of models.yaml."""

    model_config = ConfigDict(extra="forbid")

    text: str


class SavedText(EditedText):
    """`version` is that of the text that was edited."""

    version: str


@routes.post("/chat")
async def chat(request: Request) -> Response:
    """A turn with how it came about. The body is that of `/v1/chat/completions`; the answer is server-sent events."""
    settings: Settings = request.state.settings
    turns: TurnService = request.state.turns
    personas: PersonaService = request.state.personas
    caller = authenticated_caller(request)
    count_request(request)
    body = await read_body(request, ChatCompletionRequest, error=RequestError)
    await admit(request)
    turn_request = body.turn_request(request.headers, caller, settings.max_tools)
    return _events(request, turns, await prepared(turns, personas, turn_request))


@routes.get("/faults")
async def faults(_: Request) -> dict[str, Any]:
    return {"faults": [{"name": name, "title": title} for name, title in FAULTS.items()]}


@routes.post("/drill", dependencies=OPERATOR)
async def run_drill(request: Request) -> Response:
    """A turn whose first deployment fails: the events of `/console/chat`. No provider is asked."""
    turns: TurnService = request.state.turns
    body = await read_body(request, DrillBody)
    return _events(request, *drill(body.fault, turns.profile))


@routes.get("/turns", dependencies=OPERATOR)
async def recent_turns(request: Request) -> dict[str, Any]:
    """The last turns of this process, the newest first, with their attempts; nothing of what was said."""
    turns: TurnService = request.state.turns
    return {"turns": [encode.recent_turn(each) for each in reversed(turns.statistics.recent)]}


@routes.get("/limits", dependencies=OPERATOR)
async def limits(request: Request) -> dict[str, Any]:
    """The limits of the deployments that have some, and what was used of them in the last minute."""
    turns: TurnService = request.state.turns
    router = turns.router
    limited = [each for each in router.registry.current.deployments if each.rpm is not None or each.tpm is not None]
    return {each.id: encode.limit(each, router.rate_limits.in_last_minute(each.id)) for each in limited}


@routes.get("/models-file", dependencies=OPERATOR)
async def show_models_file(request: Request) -> dict[str, Any]:
    """The text of models.yaml and its problems. Secrets in the text are replaced by placeholders."""
    return await asyncio.to_thread(_models_file(request).show)


@routes.post("/models-file/check", dependencies=OPERATOR)
async def check_models_file(request: Request) -> dict[str, Any]:
    body = await read_body(request, EditedText)
    return {"problems": await asyncio.to_thread(_models_file(request).check, body.text)}


@routes.put("/models-file", dependencies=OPERATOR)
async def save_models_file(request: Request) -> dict[str, Any]:
    """Save an edited text. Needs SWITCHBOARD_CONSOLE_EDIT=true. The old file is kept as `models.yaml.bak`."""
    body = await read_body(request, SavedText)
    await asyncio.to_thread(_models_file(request).save, body.text, body.version)
    return {"saved": True}


@routes.get("/models-schema")
async def show_models_schema(_: Request) -> dict[str, Any]:
    return models_schema()


def _events(request: Request, turns: TurnService, turn_request: TurnRequest) -> Response:
    settings: Settings = request.state.settings
    turn = turns.begin(turn_request)
    return EventStream(
        encode.sse(turn, turns.run(turn)),
        get_headers=dict,
        encode_error=encode.error_line,
        keep_alive=settings.keep_alive_interval,
    )


def _models_file(request: Request) -> ModelsFile:
    settings: Settings = request.state.settings
    return ModelsFile(settings.models_file, settings.console_edit)
