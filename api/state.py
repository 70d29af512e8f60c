"""What the lifespan builds and every route finds as `request.state`."""

from __future__ import annotations

from typing import TypedDict

from agent.memory.long_term import LongTermMemory
from agent.sessions.service import SessionService
from agent.turns import TurnService
from api.http.auth import TokenCheck
from api.reload import Reload
from config.settings import Settings


class State(TypedDict):
    """Typed lifespan state; Starlette copies it into each request's `state`."""

    settings: Settings
    tokens: TokenCheck
    turns: TurnService
    sessions: SessionService
    memories: LongTermMemory
    reload: Reload
