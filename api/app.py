"""Creates the ASGI app. The lifespan builds all components and yields them as state; nothing is built at import."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from agent.memory.long_term import LongTermMemory
from agent.personas.service import PersonaService
from agent.sessions.lifespan import open_sessions
from agent.sessions.signals import Signals
from agent.sessions.states import SessionStates
from agent.statistics.statistics import Statistics
from agent.statistics.store import open_statistics_store
from agent.statistics.writer import StatisticsWriter
from agent.storage.checkpoints import open_checkpoints
from agent.tools.mcp.host import McpHost
from agent.tools.own.loader import ToolLoader
from agent.tools.tool_set import own_tool_names
from agent.turns import TurnService
from api import garbage_collection
from api.chat.routes import routes as chat_routes
from api.database import open_configured_database
from api.docs.openapi import DocumentedApp
from api.docs.routes import routes as docs_routes
from api.drain import Drain
from api.http.auth import TokenVerifier
from api.http.errors import InvalidBody, MethodNotAllowed, RouteNotFound, error_response
from api.http.guarded_protocol import ConnectionGuard
from api.http.request_id import RequestId
from api.openai.embeddings import routes as embedding_routes
from api.openai.not_served import routes as not_served_routes
from api.openai.routes import routes as openai_routes
from api.ops.routes import routes as ops_routes
from api.personas.routes import routes as persona_routes
from api.reload import Reload, log_registry
from api.sessions.routes import routes as session_routes
from api.state import State
from api.statistics.routes import routes as statistics_routes
from api.statistics.worker_metrics import WorkerMetrics
from config.errors import RequestError, SwitchboardError
from config.profile.agent_file import AgentProfile
from config.settings import Settings, require_tokens
from router.embedding import Embedder
from router.failover import FailoverRouter
from router.health.breakers import Breakers
from router.health.health_checks import HealthChecks, ping
from router.health.rate_limits import RateLimits
from router.health.shared_clock import SharedClock
from router.health.shared_state import SharedState
from router.lanes.selection import Lanes
from router.registry import LiveRegistry

log = structlog.get_logger(__name__)

MCP_STARTUP_TIMEOUT: Final = 2.0
"""Seconds that a start waits for the MCP servers, so that the first turns have their tools."""


def create_app(settings: Settings) -> FastAPI:
    """Create the ASGI app. It reads models.yaml and agent.yaml at startup and reloads them when they change.

    Raises:
        ConfigError: no token is set. At startup: models.yaml or agent.yaml is invalid.
    """
    require_tokens(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as running:
            tools = ToolLoader(settings.agent_file)
            running.push_async_callback(tools.aclose)
            reload = Reload(settings, tools)
            # In a thread: importing a Python tool may block, or run an event loop of its own.
            registry, profile = reload.models.load(), await asyncio.to_thread(reload.agent.load)
            log_registry(registry)
            lanes = Lanes.build()
            running.push_async_callback(lanes.aclose)
            await lanes.warm_up(each for each in registry.deployments if not each.missing)
            live = LiveRegistry(registry)
            router = await running.enter_async_context(_router(settings, live, lanes))
            database = await running.enter_async_context(open_configured_database(settings))
            checkpoints = await running.enter_async_context(open_checkpoints(database))
            memories = LongTermMemory(database, _embedder(profile, live))
            running.push_async_callback(memories.aclose)
            mcp = McpHost(profile.mcp_servers, own_tool_names(profile))
            await running.enter_async_context(mcp.running())
            await mcp.warm_up(MCP_STARTUP_TIMEOUT)
            stored = await running.enter_async_context(open_statistics_store(database))
            statistics = StatisticsWriter(Statistics(), stored)
            await running.enter_async_context(statistics.running())
            turns = TurnService(router, profile, mcp, checkpoints, memories, statistics.statistics)
            metrics = WorkerMetrics(turns, settings.metrics_dir if settings.workers > 1 else None)
            await running.enter_async_context(metrics.running())
            signals = await running.enter_async_context(_signals(settings))
            sessions = await running.enter_async_context(
                open_sessions(
                    turns,
                    database,
                    checkpoints,
                    signals,
                    states=await running.enter_async_context(_states(settings)),
                    ttl=settings.session_ttl,
                    lease=settings.session_lease,
                )
            )
            garbage_collection.resume()  # `api.worker` paused it
            await running.enter_async_context(reload.running(turns, lanes))
            yield State(
                settings=settings,
                tokens=TokenVerifier(settings.api_tokens),
                turns=turns,
                sessions=sessions,
                memories=memories,
                personas=PersonaService(turns, database),
                statistics=statistics,
                metrics=metrics,
                reload=reload,
                guard=_guard(settings, turns),
            )

    app = DocumentedApp(
        title="Switchboard",
        version=version("switchboard"),
        description="An OpenAI-compatible agent gateway.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        telemetry=None if _open_telemetry_is_configured() else {"tracing": False, "metrics": False, "logs": False},
        # Passed directly: FastAPI matches the routes of an included router twice per request.
        routes=[
            *openai_routes.routes,
            *embedding_routes.routes,
            *session_routes.routes,
            *chat_routes.routes,
            *persona_routes.routes,
            *ops_routes.routes,
            *statistics_routes.routes,
            *docs_routes.routes,
            *not_served_routes.routes,
        ],
    )
    app.add_middleware(RequestId)
    app.add_exception_handler(SwitchboardError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_unhandled)
    return app


def _open_telemetry_is_configured() -> bool:
    """Decided once at startup: FastAPI's own check runs per request and costs 1 % of a turn."""
    return any(name.startswith(("OTEL_", "FASTAPI_OTEL_")) for name in os.environ)


def _guard(settings: Settings, turns: TurnService) -> ConnectionGuard:
    most = settings.max_unauthenticated_connections
    if sys.platform != "win32":
        import resource

        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = most if descriptors == resource.RLIM_INFINITY else min(most, max(1, descriptors // 2))
    return ConnectionGuard(settings.head_timeout, settings.body_timeout, most, Drain(settings.drain_time, turns.stop))


def _embedder(profile: AgentProfile, registry: LiveRegistry) -> Embedder | None:
    name = profile.memory.embedding_model
    if name is None:
        return None
    if not registry.current.embedding(name):
        log.warning("no_embedding_model", named_in="agent.yaml", model=name, effect="the newest memories are used")
    return Embedder(name, lambda: registry.current.embedding(name))


@asynccontextmanager
async def _signals(settings: Settings) -> AsyncIterator[Signals]:
    if settings.redis_url is None:
        yield Signals()
        return
    from agent.sessions.redis_signals import RedisSignals  # the Redis client takes 5 MB

    signals = RedisSignals(settings.redis_url.get_secret_value())
    async with signals.running():
        yield signals


@asynccontextmanager
async def _states(settings: Settings) -> AsyncIterator[SessionStates]:
    if settings.redis_url is None:
        yield SessionStates()
        return
    from agent.sessions.redis_states import RedisStates  # the Redis client takes 5 MB

    states = RedisStates(settings.redis_url.get_secret_value(), settings.session_lease)
    async with states.running():
        yield states


@asynccontextmanager
async def _router(settings: Settings, registry: LiveRegistry, lanes: Lanes) -> AsyncIterator[FailoverRouter]:
    """The router with its background tasks: health checks, and state shared with other servers through Redis."""
    clock = SharedClock()
    breakers, rate_limits = Breakers(lambda: registry.current.settings, clock), RateLimits(clock)
    checks = HealthChecks(registry, breakers, lambda deployment: ping(lanes.for_deployment(deployment), deployment))
    async with AsyncExitStack() as running:
        if settings.redis_url is not None:
            from router.health.redis_store import RedisStore  # the Redis client takes 5 MB

            store = RedisStore(settings.redis_url.get_secret_value())
            await running.enter_async_context(SharedState(store, breakers, rate_limits, clock).running())
        await running.enter_async_context(checks.running())
        yield FailoverRouter(registry, lanes, breakers, rate_limits)


async def _on_error(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, SwitchboardError)  # noqa: S101  (Starlette types handlers with Exception)
    return error_response(exc)


async def _on_invalid(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)  # noqa: S101
    first = exc.errors()[0]
    param = str(first["loc"][-1])
    return error_response(InvalidBody(f"{param}: {first['msg'].removeprefix('Value error, ')}.", param=param))


async def _on_http_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)  # noqa: S101
    if exc.status_code in (404, 405) and _has_slash_in_id(request):
        return error_response(InvalidBody("An id in the path contains a slash (%2F). Ids have no slash."))
    place = f"{request.method} {request.url.path}"
    if exc.status_code == 404:
        return error_response(RouteNotFound(f"There is no route {place}."))
    if exc.status_code == 405:
        allowed = _allowed_methods(request)
        return error_response(MethodNotAllowed(f"{place} is not allowed; this path supports {allowed}."), allow=allowed)
    return error_response(RequestError(str(exc.detail)))


def _has_slash_in_id(request: Request) -> bool:
    """Whether the path of a session has an encoded slash, which splits the id before a route can see it."""
    return request.url.path.startswith("/agent/") and b"%2f" in request.scope.get("raw_path", b"").lower()


def _allowed_methods(request: Request) -> str:
    """The methods of all routes with the request's path; Starlette names those of the first."""
    partial = [each for each in request.app.routes if each.matches(request.scope)[0] is Match.PARTIAL]
    return ", ".join(sorted({method for each in partial for method in each.methods or ()}))


async def _on_unhandled(_: Request, exc: Exception) -> Response:
    # Starlette re-raises the exception afterwards, so uvicorn logs the traceback.
    return error_response(SwitchboardError("Internal error. The server's log has the details."))
