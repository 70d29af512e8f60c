"""Builds the components that run turns, for a server and for a worker alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from agent.callers.limits import CallerLimits
from agent.callers.spending import Spending
from agent.callers.turn_places import TurnPlaces
from agent.callers.usage import CallerUsage
from agent.memory.long_term import LongTermMemory
from agent.sessions.lifespan import open_sessions
from agent.sessions.service import SessionService
from agent.sessions.signals import Signals
from agent.sessions.states import SessionStates
from agent.statistics.statistics import Statistics
from agent.statistics.store import open_statistics_store
from agent.statistics.turn_counts import EndedTurn
from agent.statistics.writer import StatisticsWriter
from agent.storage.checkpoints import open_checkpoints
from agent.storage.database import Database
from agent.tools.mcp.host import McpHost
from agent.tools.own.loader import ToolLoader
from agent.tools.tool_set import own_tool_names
from agent.turns import TurnService
from api.database import open_configured_database
from api.reload import Reload
from api.statistics.worker_metrics import WorkerMetrics
from config.callers.caller import LiveCallers
from config.log_content import SETTING, logs_content
from config.profile.agent_file import AgentProfile
from config.settings import Settings
from router.embedding import Embedder
from router.failover import FailoverRouter
from router.health.breakers import Breakers
from router.health.health_checks import HealthChecks, ping
from router.health.rate_limits import RateLimits
from router.health.shared_clock import SharedClock
from router.health.shared_state import SharedState
from router.lanes.selection import Lanes
from router.registry import LiveRegistry

if TYPE_CHECKING:
    from api.tracing.tracing import Tracing  # imports OpenTelemetry's SDK

log = structlog.get_logger(__name__)

MCP_STARTUP_TIMEOUT: Final = 2.0
"""Seconds that a start waits for the MCP servers, so that the first turns have their tools."""


@dataclass(frozen=True, slots=True)
class Components:
    """What runs turns, and what it depends on."""

    turns: TurnService
    limits: CallerLimits | None
    sessions: SessionService
    memories: LongTermMemory
    database: Database
    signals: Signals
    reload: Reload
    statistics: StatisticsWriter
    metrics: WorkerMetrics
    tracing: Tracing | None


@asynccontextmanager
async def open_components(settings: Settings, tracing: Tracing | None) -> AsyncIterator[Components]:
    """The components, with their background work. They follow changes of their files.

    `tracing` None makes no spans.

    Raises:
        ConfigError: models.yaml, agent.yaml or callers.yaml is invalid, or the database cannot be used.
    """
    if logs_content():
        log.warning("content_is_logged", setting=SETTING, effect="lines quote messages, answers, tools and providers")
    async with AsyncExitStack() as running:
        if tracing is not None:
            await running.enter_async_context(tracing.exporting())
        tools = ToolLoader(settings.agent_file)
        running.push_async_callback(tools.aclose)
        reload = Reload(settings, tools)
        # In a thread: importing a Python tool may block, or run an event loop of its own.
        registry, profile = reload.models.load(), await asyncio.to_thread(reload.agent.load)
        callers = LiveCallers(reload.callers.load() if reload.callers else None)
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
        limits = await running.enter_async_context(_limits(settings, callers, database))
        statistics = StatisticsWriter(Statistics(on_turn=_on_turn(tracing, limits)), stored)
        await running.enter_async_context(statistics.running())
        turns = TurnService(router, profile, mcp, checkpoints, memories, statistics.statistics, callers, limits)
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
        await running.enter_async_context(reload.running(turns, lanes))
        yield Components(turns, limits, sessions, memories, database, signals, reload, statistics, metrics, tracing)


def _on_turn(tracing: Tracing | None, limits: CallerLimits | None) -> Callable[[EndedTurn], None] | None:
    """Who is told of each turn that has ended."""
    if tracing is None or limits is None:
        return tracing.turn_ended if tracing else limits.count if limits else None

    def tell_both(turn: EndedTurn) -> None:
        limits.count(turn)
        tracing.turn_ended(turn)

    return tell_both


@asynccontextmanager
async def _limits(settings: Settings, callers: LiveCallers, database: Database) -> AsyncIterator[CallerLimits | None]:
    """None if there is nothing to limit; turns pay nothing for it then."""
    places = TurnPlaces(settings.max_parallel_turns)
    if settings.callers_file is None:
        yield CallerLimits(callers, places) if settings.max_parallel_turns else None
        return
    spending = Spending(database)
    async with _usage(settings) as usage, spending.running():
        yield CallerLimits(callers, places, usage, spending)


@asynccontextmanager
async def _usage(settings: Settings) -> AsyncIterator[CallerUsage]:
    if settings.redis_url is None:
        from agent.callers.process_usage import ProcessUsage  # `limits` takes 4 MB

        yield ProcessUsage()
        return
    from agent.callers.redis_usage import RedisUsage  # the Redis client takes 5 MB

    usage = RedisUsage(settings.redis_url.get_secret_value())
    async with usage.running():
        yield usage


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
