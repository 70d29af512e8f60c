"""The lifespan state, which routes read from `request.state`."""

from __future__ import annotations

from typing import TypedDict

from agent.callers.limits import CallerLimits
from agent.calls.calls import Calls
from agent.memory.long_term import LongTermMemory
from agent.personas.service import PersonaService
from agent.responses.store import ResponseStore
from agent.sessions.service import SessionService
from agent.statistics.writer import StatisticsWriter
from agent.tasks.backlog import TaskBacklog
from agent.tasks.service import TaskService
from agent.turns import TurnService
from api.http.auth import TokenVerifier
from api.http.guarded_protocol import ConnectionGuard
from api.http.large_bodies import LargeBodies
from api.phone.signatures import Carriers
from api.reload import Reload
from api.statistics.worker_metrics import WorkerMetrics
from config.settings import Settings


class State(TypedDict):
    """Typed lifespan state; Starlette copies it into `request.state`. `limits` is None when nothing is limited."""

    settings: Settings
    tokens: TokenVerifier
    turns: TurnService
    limits: CallerLimits | None
    sessions: SessionService
    memories: LongTermMemory
    personas: PersonaService
    calls: Calls
    carriers: Carriers
    responses: ResponseStore
    statistics: StatisticsWriter
    metrics: WorkerMetrics
    tasks: TaskService
    backlog: TaskBacklog
    reload: Reload
    guard: ConnectionGuard
    large_bodies: LargeBodies
